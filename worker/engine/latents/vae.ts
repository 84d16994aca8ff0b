/** The autoencoder between pictures and latents. */
import { EngineError } from '../errors.ts';
import { type Folder, number } from '../onnx/folder.ts';
import type { Session } from '../onnx/session.ts';
import type { Picture } from '../types.ts';
import { cut, inTiles, type Planes, wrapAround } from './tiles.ts';

/** Latents of a larger area are decoded in tiles; SDXL's own 1024 pixels (128 × 128) are not. */
const untiledArea = 128 * 128;
const tileSide = 64;
const tileOverlap = 16;
/** Latent pixels around a place that the decoder's convolutions see, nearly. */
const wrapMargin = 8;

export interface Vae {
  readonly channels: number;
  /** Pixels per latent pixel. */
  readonly factor: number;
  readonly canEncode: boolean;
  readonly decoder: Session;
  /** Latents as the sampler takes them; `draw` gives the noise of the posterior's sample. */
  encode(picture: Picture, draw: (count: number) => Float32Array): Promise<Float32Array>;
  /** @param wrap decodes as if the picture went on at its opposite edge */
  decode(latents: Float32Array, height: number, width: number, wrap?: boolean): Promise<Picture>;
}

/**
 * @param part where the decoder's config lies. A tiny decoder (TAESD) takes unscaled latents, so its scaling factor is
 * 1 where its config has none, and its output may be 0..1 (`"output_range": [0, 1]`) instead of -1..1
 */
export function makeVae(
  folder: Folder,
  decoder: Session,
  encoder: Session | undefined,
  part = 'vae_decoder',
): Vae {
  const config =
    part === 'vae_decoder'
      ? { ...folder.config('vae_encoder'), ...folder.config(part) }
      : folder.config(part);
  const scale = number(config, 'scaling_factor', part === 'vae_decoder' ? 0.18215 : 1);
  const range = config['output_range'];
  const fromZero = Array.isArray(range) && range[0] === 0;
  const shift = number(config, 'shift_factor', 0);
  const means = numbers(config['latents_mean']);
  const deviations = numbers(config['latents_std']);
  const blocks = config['block_out_channels'];
  const latentPort = [...decoder.inputs.values()][0]!;
  const outputName = decoder.outputs.has('sample') ? 'sample' : [...decoder.outputs.keys()][0]!;
  const factor = Array.isArray(blocks) ? 2 ** (blocks.length - 1) : factorOf(decoder);
  const metaChannels = latentPort.shape[1];
  const channels = typeof metaChannels === 'number' ? metaChannels : number(config, 'latent_channels', 4);

  // Some latents are normalised channel by channel as well (Playground v2.5), as diffusers' pipelines read it.
  const scaleOf = (channel: number): number => scale / (deviations?.[channel] ?? 1);
  const shiftOf = (channel: number): number => shift + (means?.[channel] ?? 0);
  const toModel = (latents: Float32Array): Float32Array =>
    byChannel(latents, channels, (value, c) => (value - shiftOf(c)) * scaleOf(c));
  const toDecoder = (latents: Float32Array): Float32Array =>
    byChannel(latents, channels, (value, c) => value / scaleOf(c) + shiftOf(c));

  async function decodePlanes({ data, height, width }: Planes): Promise<Planes> {
    const feeds = { [latentPort.name]: { data, dims: [1, channels, height, width] } };
    const output = (await decoder.run(feeds, [outputName])).get(outputName)!;
    const pixels = fromZero ? output.data.map((value) => value * 2 - 1) : output.data;
    return { data: pixels, channels: 3, height: output.dims[2]!, width: output.dims[3]! };
  }

  return {
    channels,
    factor,
    canEncode: encoder !== undefined,
    decoder,
    async encode(picture, draw) {
      if (!encoder)
        throw new EngineError('unsupported', 'this model has no vae_encoder: it cannot start from a picture');
      const input = [...encoder.inputs.keys()][0]!;
      const output = encoder.outputs.get('latent_parameters') ?? [...encoder.outputs.values()].at(-1)!;
      const { data } = (
        await encoder.run(
          { [input]: { data: toPlanes(picture), dims: [1, 3, picture.height, picture.width] } },
          [output.name],
        )
      ).get(output.name)!;
      const size = channels * (picture.height / factor) * (picture.width / factor);
      // Drawn also where the encoder has no variance, so that the start noise is the same.
      const noise = draw(size);
      let sample = data;
      if (data.length === 2 * size) {
        // Mean and log variance, one after the other (diffusers' DiagonalGaussianDistribution).
        sample = noise.map(
          (eps, i) => data[i]! + Math.exp(0.5 * Math.min(Math.max(data[size + i]!, -30), 20)) * eps,
        );
      }
      return toModel(sample);
    },
    async decode(latents, height, width, wrap = false) {
      const unscaled: Planes = {
        data: toDecoder(latents),
        channels,
        height,
        width,
      };
      const fed = wrap ? wrapAround(unscaled, wrapMargin) : unscaled;
      const big = fed.height * fed.width > untiledArea;
      const planes = big
        ? await inTiles(fed, tileSide, tileOverlap, factor, decodePlanes)
        : await decodePlanes(fed);
      const margin = (wrap ? wrapMargin : 0) * factor;
      const { data } = wrap ? cut(planes, margin, margin, height * factor, width * factor) : planes;
      return fromPlanes(data, width * factor, height * factor);
    },
  };
}

const numbers = (value: unknown): readonly number[] | undefined =>
  Array.isArray(value) && value.every((each) => typeof each === 'number') ? value : undefined;

function byChannel(
  planes: Float32Array,
  channels: number,
  change: (value: number, channel: number) => number,
): Float32Array {
  const size = planes.length / channels;
  return planes.map((value, k) => change(value, Math.floor(k / size)));
}

/** "latent_height * 8", as exporters write the decoder's output size. */
function factorOf(decoder: Session): number {
  const height = [...decoder.outputs.values()][0]!.shape[2];
  const written = typeof height === 'string' ? /\*\s*(\d+)/.exec(height)?.[1] : undefined;
  return written === undefined ? 8 : Number(written);
}

/** 0..1 by pixel to -1..1 by plane. */
export function toPlanes(picture: Picture): Float32Array {
  const size = picture.width * picture.height;
  const planes = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) planes[c * size + i] = picture.data[3 * i + c]! * 2 - 1;
  }
  return planes;
}

/** -1..1 by plane to 0..1 by pixel, clipped. NaN stays NaN, so that it is not taken for black. */
export function fromPlanes(planes: Float32Array, width: number, height: number): Picture {
  const size = width * height;
  const data = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) {
      data[3 * i + c] = Math.min(Math.max(planes[c * size + i]! / 2 + 0.5, 0), 1);
    }
  }
  return { width, height, data };
}
