/** The decoder's stage: from noise, or from a picture with noise added, to the small picture or latent. */

import { diffuse, notANumber, startIndex } from '../diffuse.ts';
import { badRequest, EngineError } from '../errors.ts';
import type { Canvas } from '../latents/canvas.ts';
import type { Generator } from '../latents/rng.ts';
import { allFinite } from '../onnx/tensor.ts';
import { planSchedule } from '../schedulers/index.ts';
import type { Plan } from '../schedulers/plan.ts';
import type { GenerateRequest, Picture } from '../types.ts';
import { bareCanvas, type Course, guided, type Looks, noiseCanvas, nothingToSee, tell } from './stage.ts';
import type { DecoderCondition, Painter, Shape } from './unclipModel.ts';

/** A picture's canvas with its condition. */
interface Place {
  readonly canvas: Canvas;
  readonly condition: DecoderCondition;
}

/** The share of noise drawn anew for subtle variations; 0 would paint the same layout to the pixel. */
const layoutEta = 0.3;

/** The decoder's steps for a request, with those that invert a picture to noise. */
export function decoderSteps(request: GenerateRequest): number {
  const { steps, stop = 1, init, meaning } = request;
  const calls = steps - startIndex(steps, init?.strength ?? 1);
  return Math.max(1, Math.ceil(calls * stop)) + (meaning?.keepLayout ? steps : 0);
}

/**
 * @param conditions one for each picture; @param original embedding of `meaning`'s first picture, where layout is kept
 * @returns samples of the decoder's shape, one for each picture
 */
export async function decode(
  painter: Painter,
  request: GenerateRequest,
  shape: Shape,
  conditions: readonly DecoderCondition[],
  original: DecoderCondition | undefined,
  generators: readonly Generator[],
  course: Course,
): Promise<Float32Array[]> {
  const size = shape.channels * shape.height * shape.width;
  const { steps, init, meaning } = request;
  const kept = meaning?.keepLayout === true && original ? meaning.pictures[0] : undefined;

  // 1. Noise levels. Keeping a layout needs DDIM, which can be run backwards.
  const choice = request.scheduler ?? {};
  const plan = planSchedule(painter.schedulerConfig, kept ? { ...choice, name: 'DDIMScheduler' } : choice, {
    steps,
    eta: request.eta ?? (kept ? layoutEta : 0),
  });
  const start = init && !kept ? startIndex(steps, init.strength) * plan.order : 0;
  const calls = plan.timesteps.length - start;
  if (calls < 1) throw badRequest(`strength ${init?.strength} of ${steps} steps leaves no step to run`);
  const stop = Math.max(1, Math.ceil(calls * (request.stop ?? 1)));

  // 2. A canvas for each picture: noise, a picture with noise added, or the noise that a picture inverts to.
  const guidanceOf = (i: number): number =>
    typeof request.guidance === 'number' ? request.guidance : request.guidance[i]!;
  const clean = init?.image && !kept ? await painter.encode(init.image, shape) : undefined;
  const back = kept
    ? await invert(painter, request, await painter.encode(kept, shape), shape, original!, course)
    : undefined;
  const places = generators.map((generator, i): Place => {
    const guidance = guidanceOf(i);
    const canvas = back
      ? bareCanvas(generator, guidance, plan, back)
      : clean
        ? bareCanvas(generator, guidance, plan, plan.addNoise(clean, generator.randn(size), start))
        : noiseCanvas(generator, guidance, plan, size);
    return { canvas, condition: conditions[i]! };
  });

  // 3. Step by step.
  const canvases = places.map(({ canvas }) => canvas);
  const ms = await diffuse(
    canvases,
    { plan, start, calls, stop, size, maxBatch: course.maxBatch, signal: course.hooks.signal },
    (batch, index) =>
      ask(
        painter,
        batch.map((canvas) => places[canvases.indexOf(canvas)]!),
        plan,
        index,
        shape,
      ),
    () =>
      tell(
        course,
        'decoder',
        looksOf(painter, shape, () => canvases.map(({ imagined }) => imagined())),
      ),
  );
  course.stepMs.push(...ms);
  return canvases.map(({ x, imagined }, i) => {
    const sample = stop < calls ? imagined() : x;
    if (!allFinite(sample)) throw notANumber(request.seeds[i]!, "the decoder's picture");
    return sample;
  });
}

/** Previews of samples that are not finished. */
function looksOf(painter: Painter, shape: Shape, samples: () => Float32Array[]): Looks {
  const { decodePreview } = painter;
  return {
    preview: () => (painter.preview ? samples().map((x0) => painter.preview!(x0, shape)) : []),
    ...(decodePreview
      ? {
          decodePreview: async () => {
            const pictures: Picture[] = [];
            for (const x0 of samples()) pictures.push(await decodePreview(x0, shape));
            return pictures;
          },
        }
      : {}),
  };
}

/** DDIM backwards (Song et al., 2020, 4.3), unguided: guidance cannot be inverted. */
async function invert(
  painter: Painter,
  request: GenerateRequest,
  clean: Float32Array,
  shape: Shape,
  condition: DecoderCondition,
  course: Course,
): Promise<Float32Array> {
  const size = clean.length;
  // The clean picture counts as the schedule's first level: below it the noise would be divided by zero.
  const config = { ...request.scheduler?.config, set_alpha_to_one: false, clip_sample: false };
  const plan = planSchedule(
    painter.schedulerConfig,
    { name: 'DDIMInverseScheduler', config },
    { steps: request.steps },
  );
  const undrawn: Generator = {
    randn() {
      throw new EngineError('bad-request', 'no noise is drawn on the way back to the noise');
    },
  };
  const canvas = bareCanvas(undrawn, 1, plan, clean);
  const place: Place = { canvas, condition: { towards: condition.towards } };
  const calls = plan.timesteps.length;
  const ms = await diffuse(
    [canvas],
    { plan, start: 0, calls, stop: calls, size, maxBatch: 1, signal: course.hooks.signal },
    (_batch, index) => ask(painter, [place], plan, index, shape),
    () => tell(course, 'decoder', nothingToSee),
  );
  course.stepMs.push(...ms);
  if (!allFinite(canvas.x)) throw notANumber(request.seeds[0]!, 'the noise behind the picture');
  return canvas.x;
}

const ask = (
  { network }: Painter,
  places: readonly Place[],
  plan: Plan,
  index: number,
  { channels, height, width }: Shape,
) =>
  guided(
    network,
    'out_sample',
    places.map(({ canvas }) => canvas),
    (canvas) => {
      const { towards, against } = places.find((place) => place.canvas === canvas)!.condition;
      const shared = {
        sample: { data: plan.scaleInput(canvas.x, index), dims: [channels, height, width] },
        timestep: { data: [plan.timesteps[index]!], dims: [] },
      };
      return {
        against: against ? [{ ...shared, ...against }] : [],
        towards: [{ ...shared, ...towards }],
      };
    },
    channels * height * width,
  );
