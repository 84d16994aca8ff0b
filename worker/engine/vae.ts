/** The autoencoder between pictures and latents. */
import { EngineError } from './errors.ts';
import { type Folder, number } from './folder.ts';
import type { Session } from './session.ts';
import type { Picture } from './types.ts';

export interface Vae {
  readonly channels: number;
  /** Pixels per latent pixel. */
  readonly factor: number;
  readonly canEncode: boolean;
  readonly decoder: Session;
  /** Latents as the sampler takes them; `draw` gives the noise of the posterior's sample. */
  encode(picture: Picture, draw: (count: number) => Float32Array): Promise<Float32Array>;
  decode(latents: Float32Array, height: number, width: number, wrap?: boolean): Promise<Picture>;
}

export function makeVae(folder: Folder, decoder: Session, encoder: Session | undefined): Vae {
  const config = { ...folder.config('vae_encoder'), ...folder.config('vae_decoder') };
  const scale = number(config, 'scaling_factor', 0.18215);
  const shift = number(config, 'shift_factor', 0);
  const blocks = config['block_out_channels'];
  const latentPort = [...decoder.inputs.values()][0]!;
  const outputName = decoder.outputs.has('sample') ? 'sample' : [...decoder.outputs.keys()][0]!;
  const factor = Array.isArray(blocks) ? 2 ** (blocks.length - 1) : factorOf(decoder);
  const metaChannels = latentPort.shape[1];
  const channels = typeof metaChannels === 'number' ? metaChannels : number(config, 'latent_channels', 4);

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
      // Drawn in any case, so that the start noise is the same whatever the encoder gives.
      const noise = draw(size);
      let sample = data;
      if (data.length === 2 * size) {
        // Mean and log variance, one after the other (diffusers' DiagonalGaussianDistribution).
        sample = noise.map(
          (eps, i) => data[i]! + Math.exp(0.5 * Math.min(Math.max(data[size + i]!, -30), 20)) * eps,
        );
      }
      return sample.map((value) => (value - shift) * scale);
    },
    async decode(latents, height, width) {
      const unscaled = latents.map((value) => value / scale + shift);
      const { data, dims } = (
        await decoder.run({ [latentPort.name]: { data: unscaled, dims: [1, channels, height, width] } }, [
          outputName,
        ])
      ).get(outputName)!;
      return fromPlanes(data, dims[3]!, dims[2]!);
    },
  };
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

/** -1..1 by plane to 0..1 by pixel, clipped. NaN stays NaN: it must not pass for black. */
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
