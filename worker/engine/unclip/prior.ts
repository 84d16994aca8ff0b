/** The prior: from a text to the embedding of a picture that fits it (Ramesh et al., 2022, section 2.2). */

import { diffuse, notANumber } from '../diffuse.ts';
import type { Canvas } from '../latents/canvas.ts';
import type { Generator } from '../latents/rng.ts';
import { number } from '../onnx/folder.ts';
import { allFinite } from '../onnx/tensor.ts';
import { planSchedule } from '../schedulers/index.ts';
import { sum } from '../schedulers/plan.ts';
import type { Network } from './batchedSession.ts';
import { type Course, guided, noiseCanvas, nothingToSee, tell } from './stage.ts';
import type { Told } from './text.ts';
import type { UnclipParts } from './unclipModel.ts';

export const priorInputs = [
  'hidden_states',
  'timestep',
  'proj_embedding',
  'encoder_hidden_states',
  'attention_mask',
];
export const priorOutput = 'predicted_image_embedding';

export interface Prior {
  readonly network: Network;
  /** Length of an embedding. */
  readonly width: number;
  /** Mean and deviation that scale a sampled embedding back to the image encoder's range. */
  readonly mean: Float32Array;
  readonly std: Float32Array;
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
}

export interface PriorRequest {
  /** One for each embedding; several are sampled together, as one. */
  readonly towards: readonly Told[];
  /** Their unconditional texts; without guidance where left out. */
  readonly against: readonly Told[] | undefined;
  readonly guidance: number;
  readonly steps: number;
  /** One for each picture; draws: start noise, then each step's. */
  readonly generators: readonly Generator[];
  readonly seeds: readonly number[];
}

/** @returns for each picture, the embeddings of each text */
export async function samplePrior(
  { network, width, mean, std, schedulerConfig }: Prior,
  { towards, against, guidance, steps, generators, seeds }: PriorRequest,
  course: Course,
): Promise<Float32Array[][]> {
  const plan = planSchedule(schedulerConfig, {}, { steps });
  const size = width * towards.length;
  const canvases = generators.map((generator) => noiseCanvas(generator, guidance, plan, size));
  const rowOf = (canvas: Canvas, told: Told, index: number, i: number) => ({
    hidden_states: {
      data: plan.scaleInput(canvas.x, index).subarray(i * width, (i + 1) * width),
      dims: [width],
    },
    timestep: { data: [plan.timesteps[index]!], dims: [] },
    proj_embedding: { data: told.embedding, dims: [told.embedding.length] },
    encoder_hidden_states: { data: told.hidden, dims: [told.tokens, told.width] },
    attention_mask: { data: told.mask, dims: [told.mask.length] },
  });
  const calls = plan.timesteps.length;
  const ms = await diffuse(
    canvases,
    { plan, start: 0, calls, stop: calls, size, maxBatch: course.maxBatch, signal: course.hooks.signal },
    (batch, index) =>
      guided(
        network,
        priorOutput,
        batch,
        (canvas) => ({
          against: (against ?? []).map((told, i) => rowOf(canvas, told, index, i)),
          towards: towards.map((told, i) => rowOf(canvas, told, index, i)),
        }),
        size,
      ),
    () => tell(course, 'prior', nothingToSee),
  );
  course.stepMs.push(...ms);
  return canvases.map(({ x }, picture) => {
    if (!allFinite(x)) throw notANumber(seeds[picture]!, "the prior's embedding");
    return towards.map((_, i) =>
      x.subarray(i * width, (i + 1) * width).map((v, k) => v * std[k]! + mean[k]!),
    );
  });
}

/** Mixes a share of the first picture's noise into a picture's; at 1 all pictures have one embedding. */
export function shareNoise(own: Generator, first: Generator, share: number): Generator {
  return {
    randn: (count) => sum([Math.sqrt(share), first.randn(count)], [Math.sqrt(1 - share), own.randn(count)]),
  };
}

/** @throws EngineError where the config lacks mean and deviation */
export function readPrior(
  { folder, layout }: Pick<UnclipParts, 'folder' | 'layout'>,
  network: Network,
): Prior {
  const config = folder.config(layout.prior);
  const port = network.session.inputs.get('hidden_states')!.shape[1];
  const width = typeof port === 'number' ? port : number(config, 'embedding_dim', 768);
  const list = (key: string, fallback: number): Float32Array => {
    const value = config[key];
    return Array.isArray(value) && value.length === width
      ? Float32Array.from(value as number[])
      : new Float32Array(width).fill(fallback);
  };
  return {
    network,
    width,
    mean: list('clip_mean', 0),
    std: list('clip_std', 1),
    schedulerConfig: folder.config(layout.priorScheduler, 'scheduler_config.json'),
  };
}
