/** A network that encodes a picture as one vector (such as CLIP's vision tower). */
import { EngineError } from '../errors.ts';
import type { Session } from '../onnx/session.ts';
import type { Picture } from '../types.ts';
import { normalise, resizeToSquare } from './resize.ts';

export interface ImageEncoderSettings {
  readonly size: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** @returns a function from a picture to its embedding. @throws EngineError('bad-model') for another network */
export function makeImageEncoder(
  session: Session,
  { size, mean, std }: ImageEncoderSettings,
): (picture: Picture) => Promise<Float32Array> {
  const input = [...session.inputs.values()].find((port) => port.shape.length === 4);
  const output =
    ['image_embeds', 'pooler_output'].find((name) => session.outputs.has(name)) ??
    [...session.outputs.values()].find((port) => port.shape.length === 2)?.name;
  if (!input || output === undefined) {
    throw new EngineError(
      'bad-model',
      `${session.file} is no image encoder: it does not take a picture to one vector`,
      { file: session.file },
    );
  }
  return async (picture) => {
    const data = normalise(resizeToSquare(picture, size), mean, std);
    return (await session.run({ [input.name]: { data, dims: [1, 3, size, size] } }, [output])).get(output)!
      .data;
  };
}
