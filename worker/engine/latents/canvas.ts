/** One picture while it is painted: how it starts, how a mask keeps parts of it, how a step changes it. */
import { badRequest } from '../errors.ts';
import { concat } from '../onnx/tensor.ts';
import { type Plan, type Sampler, sum } from '../schedulers/plan.ts';
import type { GenerateRequest, Picture } from '../types.ts';
import { createGenerator, type Generator } from './rng.ts';
import type { Vae } from './vae.ts';

/** A picture has its own random numbers and solver memory, so it does not depend on its neighbours. */
export interface Canvas {
  readonly generator: Generator;
  readonly guidance: number;
  readonly sampler: Sampler;
  x: Float32Array;
  /**
   * The clean latent as the model predicts it after the last call: E[x0 | x_t] by Tweedie's formula, soft where much is
   * undecided. It is unguided: guidance is meant for a single step, and the x0 it leads to is too harsh to show.
   */
  imagined: () => Float32Array;
  readonly inpaint?: Inpaint;
}

/** The network's output for one picture. */
export interface Prediction {
  /** The conditional output, without guidance. */
  readonly towards: Float32Array;
  /** The guided output, pushed away from the negative prompt: what the sampler steps with. */
  readonly guided: Float32Array;
  /** Of the same size; only from networks that learned their variances. */
  readonly variance?: Float32Array;
}

interface Inpaint {
  /** 1 = repaint, at latent resolution; soft masks have values between. */
  readonly mask: Float32Array;
  /** Mask and masked picture, joined to the latents of networks with 9 channels. */
  readonly channels?: Float32Array;
  /** Kept latents and their noise, for networks without mask channels. */
  readonly kept?: { readonly clean: Float32Array; readonly noise: Float32Array };
}

/** @param start index of the first model call; @param inChannels what the network takes: more than the latents have, if it knows masks */
export async function makeCanvas(
  vae: Vae,
  inChannels: number,
  request: GenerateRequest,
  plan: Plan,
  i: number,
  start: number,
  size: number,
): Promise<Canvas> {
  const generator = createGenerator(request.seeds[i]!);
  const guidance = typeof request.guidance === 'number' ? request.guidance : request.guidance[i]!;
  const { init, mask } = request;
  const fullStrength = init?.strength === 1 && mask !== undefined;
  const maskedNetwork = inChannels > vae.channels;

  // The order of the draws is diffusers': the picture's posterior, the start noise, the masked picture's posterior.
  let clean: Float32Array | undefined;
  if (init && !(fullStrength && maskedNetwork)) {
    const draw = (count: number): Float32Array => generator.randn(count);
    if (init.latents) clean = init.latents[i] ?? init.latents[0]!;
    else if (init.image) clean = await vae.encode(init.image, draw);
    else clean = await blended(vae, init.images!, init.weights, draw);
  }
  const noise = startNoise(request, generator, i, size);
  const x =
    clean === undefined || fullStrength
      ? sum([plan.initNoiseSigma, noise])
      : plan.addNoise(clean, noise, start);
  const canvas = { generator, guidance, sampler: plan.sampler(), x, imagined: () => x };
  if (!mask) return canvas;

  const pixels = binaryMask(mask);
  const soft = request.softMask === true && !maskedNetwork && mask instanceof Float32Array;
  const small = shrinkMask(soft ? mask : pixels, request.width, request.height, vae.factor);
  if (init?.latents && !init.image && maskedNetwork)
    throw badRequest('a model with mask channels needs the init image itself');
  const masked = init?.image
    ? await vae.encode(hide(init.image, pixels), (count) => generator.randn(count))
    : undefined;
  return {
    ...canvas,
    inpaint: {
      mask: small,
      ...(maskedNetwork ? { channels: concat([small, masked!]) } : { kept: { clean: clean!, noise } }),
    },
  };
}

/** Averaged latents of several pictures; averaging shrinks their spread, which is scaled back to the mean spread. */
async function blended(
  vae: Vae,
  images: readonly Picture[],
  weights: readonly number[] = images.map(() => 1),
  draw: (count: number) => Float32Array,
): Promise<Float32Array> {
  const all: Float32Array[] = [];
  for (const image of images) all.push(await vae.encode(image, draw));
  const total = weights.reduce((a, b) => a + b, 0);
  const shares = weights.map((weight) => weight / total);
  const mean = sum(...all.map((latent, i) => [shares[i]!, latent] as const));
  const spread = (values: Float32Array): number => Math.hypot(...chunked(values));
  const usual = all.reduce((length, latent, i) => length + shares[i]! * spread(latent), 0);
  return sum([usual / (spread(mean) || 1), mean]);
}

/** Lengths of stretches of the values: a spread call takes a limited number of arguments. */
function chunked(values: Float32Array): number[] {
  const lengths: number[] = [];
  for (let at = 0; at < values.length; at += 4096)
    lengths.push(Math.hypot(...values.subarray(at, at + 4096)));
  return lengths;
}

/** Unit noise from the picture's own generator, mixed with the first seed's where the request says so. */
function startNoise(request: GenerateRequest, generator: Generator, i: number, size: number): Float32Array {
  const own = generator.randn(size);
  const shared = request.sharedNoise ?? 0;
  if (shared === 0 || i === 0) return own;
  // The squares of both weights sum to one, so the variance stays one.
  const first = createGenerator(request.seeds[0]!).randn(size);
  return sum([Math.sqrt(shared), first], [Math.sqrt(1 - shared), own]);
}

/** 1 where the mask is 0.5 or brighter. */
function binaryMask(mask: Picture | Float32Array): Float32Array {
  if (mask instanceof Float32Array) return mask.map((value) => (value < 0.5 ? 0 : 1));
  const grey = new Float32Array(mask.width * mask.height);
  for (let i = 0; i < grey.length; i++) {
    const [r, g, b] = mask.data.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
    grey[i] = 0.299 * r + 0.587 * g + 0.114 * b < 0.5 ? 0 : 1;
  }
  return grey;
}

/** Nearest neighbour: the pixel at the top left of every latent pixel. */
function shrinkMask(mask: Float32Array, width: number, height: number, factor: number): Float32Array {
  const small = new Float32Array((width / factor) * (height / factor));
  let at = 0;
  for (let y = 0; y < height; y += factor)
    for (let x = 0; x < width; x += factor) small[at++] = mask[y * width + x]!;
  return small;
}

/** The picture with the area to repaint greyed out (0 in -1..1). */
function hide(picture: Picture, mask: Float32Array): Picture {
  return { ...picture, data: picture.data.map((value, i) => (mask[Math.floor(i / 3)]! < 0.5 ? value : 0.5)) };
}

/** @param done share of the steps that are done after this one, (0, 1] */
export function advance(
  canvas: Canvas,
  { towards, guided, variance }: Prediction,
  plan: Plan,
  index: number,
  size: number,
  done: number,
): void {
  const before = canvas.x;
  const stepped = canvas.sampler(guided, before, index, () => canvas.generator.randn(size), variance);
  canvas.x = stepped.x;
  // A fresh sampler, without memory, given zeros as noise.
  const imagined = (): Float32Array =>
    towards === guided
      ? stepped.x0
      : plan.sampler()(towards, before, index, () => new Float32Array(size), variance).x0;
  canvas.imagined = imagined;
  const kept = canvas.inpaint?.kept;
  if (!kept) return;
  // Lugmayr et al., "RePaint" (2022), eq. 8: kept parts come from the picture, at the noise level now reached.
  const next =
    index + 1 < plan.timesteps.length ? plan.addNoise(kept.clean, kept.noise, index + 1) : kept.clean;
  // Levin & Fried, "Differential Diffusion" (2023), algorithm 1: a mask's threshold falls with every step.
  const { mask } = canvas.inpaint!;
  const free = mask.map((value) => (value > 1 - done ? 1 : 0));
  const mix = (painted: Float32Array, original: Float32Array): Float32Array =>
    painted.map((value, k) => (free[k % mask.length] === 1 ? value : original[k]!));
  canvas.x = mix(canvas.x, next);
  canvas.imagined = () => mix(imagined(), kept.clean);
}
