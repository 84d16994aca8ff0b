/**
 * Kandinsky 2.2 (diffusers' KandinskyV22Pipeline): the decoder's only condition is the picture embedding. It paints in
 * the latent space of a MOVQ, used without its codebook and without a scale.
 */
import { badRequest, EngineError } from '../errors.ts';
import { latentToRgb } from '../latents/preview.ts';
import { fromPlanes, toPlanes } from '../latents/vae.ts';
import { type Folder, number } from '../onnx/folder.ts';
import type { Session } from '../onnx/session.ts';
import type { LoadOptions } from '../types.ts';
import { makeNetwork, type Network } from './batchedSession.ts';
import type { Meant, Painter, Shape } from './unclipModel.ts';

/** The painter over Kandinsky's opened networks. @throws EngineError('bad-model') where they do not fit */
export function makeKandinsky22(
  folder: Folder,
  sessions: ReadonlyMap<string, Session>,
  { latentRgb }: Pick<LoadOptions, 'latentRgb'>,
): Painter {
  const network = makeNetwork(sessions.get('unet')!, ['sample', 'timestep', 'image_embeds'], ['out_sample']);
  const decoder = makeNetwork(sessions.get('movq_decoder')!, ['latent_sample'], ['sample']);
  const encoderSession = sessions.get('movq_encoder');
  const encoder = encoderSession && makeNetwork(encoderSession, ['sample'], ['latents']);
  const unet = folder.config('unet');
  const blocks = folder.config('movq_decoder')['block_out_channels'];
  const factor = 2 ** ((Array.isArray(blocks) ? blocks.length : 4) - 1);
  const channels = number(unet, 'in_channels', 4);

  return {
    network,
    nativeSize: number(unet, 'sample_size', 64) * factor,
    multiple: factor ** 2,
    factor,
    channels,
    schedulerConfig: folder.config('scheduler', 'scheduler_config.json'),
    canEncode: encoder !== undefined,
    stepsAfter: () => 0,
    shapeOf(width, height) {
      for (const side of [width, height])
        if (!Number.isInteger(side) || side < 1 || side > 8192)
          throw badRequest(`${width}×${height} is no size of a picture`);
      // Sides that do not divide are rounded up, as in diffusers.
      const latent = (side: number): number => Math.ceil(side / factor ** 2) * factor;
      return { channels, height: latent(height), width: latent(width) };
    },
    async encode(picture, { width, height }) {
      if (!encoder) {
        throw new EngineError(
          'unsupported',
          `${folder.at('movq_encoder/model.onnx')} is missing: without it this model cannot start from a picture`,
        );
      }
      if (picture.width !== width * factor || picture.height !== height * factor) {
        throw badRequest(
          `the picture is ${picture.width}×${picture.height}, this model paints it as ${width * factor}×${height * factor}`,
        );
      }
      const value = { data: toPlanes(picture), dims: [3, picture.height, picture.width] };
      const [said] = await encoder.run([{ inputs: { sample: value }, only: true }]);
      return said!['latents']!;
    },
    async conditions(meant, _told, _against, guidance) {
      const inputs = (z: Float32Array) => ({ image_embeds: { data: z, dims: [z.length] } });
      const towards = inputs(meant.z);
      return guidance > 1 ? { towards, against: inputs(negativeOf(meant)) } : { towards };
    },
    ...(latentRgb
      ? { preview: (x0, { width, height }) => latentToRgb(latentRgb, x0, height, width) }
      : takesAnySize(decoder)
        ? {
            async decodePreview(x0, shape) {
              const small = shrink(x0, shape, PREVIEW_SIDE);
              const value = { data: small.data, dims: [channels, small.height, small.width] };
              const [said] = await decoder.run([{ inputs: { latent_sample: value }, only: true }]);
              return fromPlanes(said!['sample']!, small.width * factor, small.height * factor);
            },
          }
        : {}),
    async finish(samples, { width, height }) {
      const pictures = [];
      for (const sample of samples) {
        const value = { data: sample, dims: [channels, height, width] };
        const [said] = await decoder.run([{ inputs: { latent_sample: value }, only: true }]);
        pictures.push(fromPlanes(said!['sample']!, width * factor, height * factor));
      }
      return pictures;
    },
  };
}

const negativeOf = ({ z, negative }: Meant): Float32Array => negative ?? new Float32Array(z.length);

/**
 * No linear map is known for a MOVQ's channels, so its decoder makes previews from latents with a side of at most this:
 * a ninth of the work at 768 px.
 */
const PREVIEW_SIDE = 32;

/** Whether the decoder takes any size; an export of fixed size cannot decode smaller latents. */
const takesAnySize = ({ session }: Network): boolean =>
  session.inputs
    .get('latent_sample')
    ?.shape.slice(2)
    .every((side) => typeof side !== 'number') ?? false;

/** Shrinks a latent by means over squares, so that its longer side has at most `most`. */
function shrink(
  sample: Float32Array,
  { channels, height, width }: Shape,
  most: number,
): { data: Float32Array; height: number; width: number } {
  const by = Math.ceil(Math.max(height, width) / most);
  const [rows, columns] = [Math.floor(height / by), Math.floor(width / by)];
  const data = new Float32Array(channels * rows * columns);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < rows * by; y++)
      for (let x = 0; x < columns * by; x++) {
        const at = (c * rows + Math.floor(y / by)) * columns + Math.floor(x / by);
        data[at] = data[at]! + sample[(c * height + y) * width + x]! / by ** 2;
      }
  return { data, height: rows, width: columns };
}
