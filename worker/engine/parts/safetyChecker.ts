/**
 * Stable Diffusion's safety checker (diffusers' convert_stable_diffusion_checkpoint_to_onnx.py). It takes the picture
 * as CLIP sees it and as it is, and outputs yes or no; the caller decides what follows.
 */
import { EngineError } from '../errors.ts';
import type { Port, Session } from '../onnx/session.ts';
import type { Picture } from '../types.ts';
import { normalise, resizeToSquare } from './resize.ts';

/** OpenAI CLIP's preprocessing. */
export const clipMean = [0.48145466, 0.4578275, 0.40821073];
export const clipStd = [0.26862954, 0.26130258, 0.27577711];

/** @returns a function that says whether a picture is flagged. @throws EngineError('bad-model') for another network */
export function makeSafetyChecker(session: Session): (picture: Picture) => Promise<boolean> {
  const ports = [...session.inputs.values()];
  const clip = session.inputs.get('clip_input') ?? ports.find((port) => port.shape[2] === 224);
  const images = session.inputs.get('images') ?? ports.find((port) => port !== clip);
  const flag =
    session.outputs.get('has_nsfw_concepts') ??
    [...session.outputs.values()].find((port) => port.type === 'bool');
  if (!clip || !flag) {
    throw new EngineError(
      'bad-model',
      `${session.file} is no safety checker: it has no clip_input or no has_nsfw_concepts`,
      { file: session.file },
    );
  }
  const size = typeof clip.shape[2] === 'number' ? clip.shape[2] : 224;
  return async (picture) => {
    const seen = normalise(resizeToSquare(picture, size), clipMean, clipStd);
    const result = await session.run(
      {
        [clip.name]: { data: seen, dims: [1, 3, size, size] },
        ...(images ? { [images.name]: whole(picture, images) } : {}),
      },
      [flag.name],
    );
    return result.get(flag.name)!.data[0]! > 0;
  };
}

/** The picture unscaled, as pixels or planes by the input's shape (pixels where it does not say). */
function whole(picture: Picture, port: Port) {
  const { width, height, data } = picture;
  if (port.shape[1] === 3)
    return { data: normalise(picture, [0, 0, 0], [1, 1, 1]), dims: [1, 3, height, width] };
  return { data, dims: [1, height, width, 3] };
}
