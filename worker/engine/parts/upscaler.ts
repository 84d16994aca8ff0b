/**
 * Networks that enlarge a picture, with the interface of Real-ESRGAN: RGB planes 0..1 in, `scale` times as large out.
 * Exports take any size or a fixed one; both run in overlapping tiles.
 */
import { EngineError } from '../errors.ts';
import { cut, inTiles, type Planes } from '../latents/tiles.ts';
import type { Session } from '../onnx/session.ts';
import { allFinite } from '../onnx/tensor.ts';
import type { Picture } from '../types.ts';

export interface Upscaler {
  readonly scale: number;
  readonly session: Session;
  upscale(picture: Picture, factor: number): Promise<Picture>;
}

/** Side of a tile where the network takes any size: little memory, and one shape for all pictures. */
const freeTile = 192;
const overlap = 16;

/** @param declared the manifest's scale; measured on a small tile where left out */
export async function makeUpscaler(session: Session, declared?: number): Promise<Upscaler> {
  const input = [...session.inputs.values()][0]!;
  const output = [...session.outputs.values()][0]!;
  if (input.shape.length !== 4 || session.inputs.size !== 1) {
    throw new EngineError('bad-model', `${session.file} is no upscaler: it does not take one picture`, {
      file: session.file,
    });
  }
  const [, , rows, columns] = input.shape;
  const fixed = typeof rows === 'number' && typeof columns === 'number' ? Math.min(rows, columns) : undefined;
  const tile = fixed ?? freeTile;

  /** Runs one tile; a smaller one is padded to the network's fixed size. */
  async function run(planes: Planes): Promise<Planes> {
    const height = typeof rows === 'number' ? rows : planes.height;
    const width = typeof columns === 'number' ? columns : planes.width;
    const fed =
      height === planes.height && width === planes.width ? planes : cut(planes, 0, 0, height, width);
    const result = (
      await session.run({ [input.name]: { data: fed.data, dims: [1, 3, height, width] } }, [output.name])
    ).get(output.name)!;
    const [, channels, outHeight, outWidth] = result.dims as [number, number, number, number];
    const whole: Planes = { data: result.data, channels, height: outHeight, width: outWidth };
    if (fed === planes) return whole;
    const ratio = outHeight / height;
    return cut(whole, 0, 0, planes.height * ratio, planes.width * ratio);
  }

  async function measure(): Promise<number> {
    const side = fixed ?? 16;
    const probe = await run({
      data: new Float32Array(3 * side * side),
      channels: 3,
      height: side,
      width: side,
    });
    return probe.height / side;
  }

  const scale = declared ?? (await measure());
  if (!Number.isInteger(scale) || scale < 2) {
    throw new EngineError(
      'bad-model',
      `${session.file} is no upscaler: it makes pictures ${scale} times as large`,
      { file: session.file },
    );
  }
  return {
    scale,
    session,
    async upscale(picture, factor) {
      let planes = toPlanes(picture);
      let reached = 1;
      while (reached < factor) {
        planes = await inTiles(planes, tile, Math.min(overlap, Math.floor(tile / 4)), scale, run);
        reached *= scale;
      }
      if (!allFinite(planes.data))
        throw new EngineError('not-a-number', `${session.file} gave not-a-number`, { file: session.file });
      if (reached % factor !== 0) {
        throw new EngineError(
          'unsupported',
          `${session.file} upscales by ${scale}; ${factor} cannot be reached with it`,
          { file: session.file },
        );
      }
      return toPicture(average(planes, reached / factor));
    },
  };
}

function toPlanes({ width, height, data }: Picture): Planes {
  const size = width * height;
  return {
    channels: 3,
    width,
    height,
    data: Float32Array.from({ length: 3 * size }, (_, i) => data[3 * (i % size) + Math.floor(i / size)]!),
  };
}

function toPicture({ width, height, data }: Planes): Picture {
  const size = width * height;
  const pixels = Float32Array.from({ length: 3 * size }, (_, i) =>
    Math.min(Math.max(data[(i % 3) * size + Math.floor(i / 3)]!, 0), 1),
  );
  return { width, height, data: pixels };
}

/** Means over squares of `by` × `by`: shrinks a result that is larger than asked. */
function average({ data, channels, height, width }: Planes, by: number): Planes {
  if (by === 1) return { data, channels, height, width };
  const h = height / by;
  const w = width / by;
  const result = new Float32Array(channels * h * w);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        result[(c * h + Math.floor(y / by)) * w + Math.floor(x / by)]! +=
          data[(c * height + y) * width + x]! / by ** 2;
      }
    }
  }
  return { data: result, channels, height: h, width: w };
}
