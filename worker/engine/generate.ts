/** From a request to pictures, in numbered steps; the same for every family. */

import type { Adapters, PartAdaptation } from './adapters/index.ts';
import { diffuse, notANumber, startIndex, throwIfAborted } from './diffuse.ts';
import { badRequest, EngineError } from './errors.ts';
import type { Condition, Conditions, Family } from './families/family.ts';
import { type Canvas, makeCanvas, type Prediction } from './latents/canvas.ts';
import type { Denoiser } from './latents/denoiser.ts';
import type { DenoiserRow } from './latents/denoiserRows.ts';
import { rolled, rollOf } from './latents/seamless.ts';
import type { Vae } from './latents/vae.ts';
import type { Folder } from './onnx/folder.ts';
import type { Session } from './onnx/session.ts';
import { allFinite, concat } from './onnx/tensor.ts';
import type { Upscaler } from './parts/upscaler.ts';
import { checkRequest } from './request.ts';
import { planSchedule } from './schedulers/index.ts';
import { type Plan, sum } from './schedulers/plan.ts';
import type { TextEncoder } from './text/textEncoder.ts';
import type { GenerateHooks, GenerateRequest, GenerateResult, ModelInfo, Picture } from './types.ts';

export interface Parts {
  readonly folder: Folder;
  readonly family: Family;
  readonly info: ModelInfo;
  readonly encoders: readonly TextEncoder[];
  readonly denoiser: Denoiser;
  readonly adapters: Adapters;
  readonly vae: Vae;
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
  readonly sessions: readonly Session[];
  readonly preview: (x0: Float32Array, height: number, width: number) => Picture;
  readonly tiny?: Vae;
  readonly upscaler?: Upscaler;
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
  readonly check?: (picture: Picture) => Promise<boolean>;
}

/** Paints the request's pictures, one a seed. @throws EngineError: bad-request, aborted, not-a-number … */
export async function generate(
  parts: Parts,
  request: GenerateRequest,
  hooks: GenerateHooks,
): Promise<GenerateResult> {
  const { denoiser, vae, family, tiny } = parts;
  const runMsBefore = runMs(parts);
  const started = performance.now();

  // 1. Refuse what cannot be painted.
  checkRequest(request, parts.info, vae);
  const height = request.height / vae.factor;
  const width = request.width / vae.factor;
  const size = vae.channels * height * width;

  // 2. Encode the prompts for the network.
  const told = await tellPictures(parts, request, hooks);
  const encodeMs = performance.now() - started;

  // 3. The schedule's noise levels, and at which of them to start and to stop.
  const strength = request.init?.strength ?? 1;
  const plan = planSchedule(parts.schedulerConfig, request.scheduler ?? {}, {
    steps: request.steps,
    ...(family.strengthInSchedule ? { strength } : {}),
    // diffusers' pipelines pass eta 0 to every scheduler that takes one: TCD's own default of 0.3 is never used.
    eta: request.eta ?? 0,
  });
  const whole = request.init === undefined || family.strengthInSchedule === true;
  const start = whole ? 0 : startIndex(request.steps, strength) * plan.order;
  const calls = plan.timesteps.length - start;
  if (calls < 1) throw badRequest(`strength ${strength} of ${request.steps} steps leaves no step to run`);
  const stop = Math.max(1, Math.ceil(calls * (request.stop ?? 1)));
  const stopped = stop < calls;

  // 4. A canvas for each picture: noise, or a start picture with noise added.
  const canvases: Canvas[] = [];
  for (const [i] of request.seeds.entries()) {
    throwIfAborted(hooks.signal);
    canvases.push(await makeCanvas(vae, denoiser.inChannels ?? vae.channels, request, plan, i, start, size));
  }

  // 5. Denoise step by step.
  const maxBatch = request.maxBatch ?? canvases.length;
  const { signal } = hooks;
  const stepMs = await diffuse(
    canvases,
    { plan, start, calls, stop, size, maxBatch, signal },
    (batch, index, call, from) => {
      const roll = request.tile ? rollOf(call, height, width) : undefined;
      const left = canvases.length * (stop - call) - (from + batch.length);
      return predict(parts, batch, plan, index, told, from, height, width, roll, left);
    },
    async (done) => {
      const latest = canvases.map((canvas) => canvas.imagined);
      const imagine = (): Float32Array[] => latest.map((imagined) => imagined());
      await hooks.onStep?.({
        step: done,
        steps: stop,
        preview: () => imagine().map((x0) => parts.preview(x0, height, width)),
        ...(tiny ? { decodePreview: () => decodeAll(tiny, imagine(), height, width) } : {}),
      });
    },
  );

  // 6. Latents to pixels, one picture at a time.
  const decodeStarted = performance.now();
  const latents = canvases.map((canvas) => (stopped ? canvas.imagined() : canvas.x));
  const decoder = request.decoder === 'tiny' ? (tiny ?? vae) : vae;
  const pictures: Picture[] = [];
  const flagged: boolean[] = [];
  const check = request.check === false ? undefined : parts.check;
  for (const [i, latent] of latents.entries()) {
    if (!allFinite(latent)) throw notANumber(request.seeds[i]!, 'the latents');
    const picture = await decoder.decode(latent, height, width, request.tile === true);
    if (!allFinite(picture.data)) throw notANumber(request.seeds[i]!, 'the decoded picture');
    if (picture.data.every((value) => value === 0)) {
      throw new EngineError('not-a-number', `seed ${request.seeds[i]} came out all black`);
    }
    pictures.push(picture);
    if (check) flagged.push(await check(picture));
    throwIfAborted(hooks.signal);
  }
  return {
    pictures,
    latents,
    latentShape: [vae.channels, height, width],
    ...(check ? { flagged } : {}),
    timings: {
      encodeMs,
      stepMs,
      decodeMs: performance.now() - decodeStarted,
      runMs: runMs(parts) - runMsBefore,
    },
  };
}

async function decodeAll(
  decoder: Vae,
  latents: readonly Float32Array[],
  height: number,
  width: number,
): Promise<Picture[]> {
  const pictures: Picture[] = [];
  for (const latent of latents) pictures.push(await decoder.decode(latent, height, width));
  return pictures;
}

/** One picture's encoded prompts, and how its LoRAs change the network. */
interface Told extends Conditions {
  readonly adaptation: PartAdaptation | undefined;
}

/** Encodes the prompts of each picture; pictures with the same LoRAs share the work. */
async function tellPictures(parts: Parts, request: GenerateRequest, hooks: GenerateHooks): Promise<Told[]> {
  const { adapters, family, folder, denoiser } = parts;
  const { loras = [], embeddings = [], prompt } = request;
  const words = embeddings.map((use) =>
    adapters.readEmbedding(
      use,
      parts.encoders.map((each) => each.width),
    ),
  );
  const wordsKey = await adapters.keyOf(embeddings);
  const known = new Map<string, Told>();
  const told: Told[] = [];
  for (const i of request.seeds.keys()) {
    throwIfAborted(hooks.signal);
    const own = await adapters.adapt(loras[loras.length === 1 ? 0 : i] ?? [], hooks.onPrepare);
    const key = `${own?.key ?? ''}/${wordsKey}`;
    const before = known.get(key);
    const one = before ?? {
      ...(await family.condition({
        folder,
        encoders:
          own || words.length > 0
            ? parts.encoders.map((encoder, e) => {
                const part = adapters.textParts[e]!;
                const change = own?.parts.get(part);
                return encoder.adapted({
                  key,
                  words: words.map((word) => word[e]!),
                  ...(change ? { open: () => adapters.open(part, [change]) } : {}),
                });
              })
            : parts.encoders,
        denoiser,
        prompt: typeof prompt === 'string' ? [{ text: prompt, weight: 1 }] : prompt,
        negative: request.negative,
        emphasis: request.emphasis ?? true,
        width: request.width,
        height: request.height,
        perturb: { amount: request.noise?.perturb ?? 0, seed: request.noise?.seed ?? 0 },
      })),
      adaptation: own?.parts.get('unet'),
    };
    known.set(key, one);
    told.push(one);
  }
  return told;
}

/** @param left steps of all pictures that come after this call */
async function predict(
  parts: Parts,
  batch: readonly Canvas[],
  plan: Plan,
  index: number,
  told: readonly Told[],
  first: number,
  height: number,
  width: number,
  roll: readonly [number, number] | undefined,
  left: number,
): Promise<Prediction[]> {
  const { denoiser, family } = parts;
  const toldTo = (canvas: Canvas): Told => told[first + batch.indexOf(canvas)]!;
  const guided = (canvas: Canvas): boolean => toldTo(canvas).negative !== undefined && canvas.guidance > 1;
  const samples = new Map(
    batch.map((canvas) => {
      const scaled = plan.scaleInput(canvas.x, index);
      const sample = canvas.inpaint?.channels ? concat([scaled, canvas.inpaint.channels]) : scaled;
      return [canvas, roll ? rolled(sample, height, width, roll[0], roll[1]) : sample];
    }),
  );
  const row = (canvas: Canvas, condition: Condition): DenoiserRow => ({
    sample: samples.get(canvas)!,
    timestep: plan.timesteps[index]!,
    hidden: condition.hidden,
    tokens: condition.tokens,
    extras: { ...condition.extras, ...family.guidanceInputs?.(canvas.guidance, denoiser) },
    only: !guided(canvas),
    adaptation: toldTo(canvas).adaptation,
  });
  const pairs = batch.filter(guided);
  const order = [...pairs, ...batch.filter((canvas) => !guided(canvas))];
  const rows = [
    ...pairs.map((canvas) => row(canvas, toldTo(canvas).negative!)),
    ...order.map((canvas) => row(canvas, toldTo(canvas).positive)),
  ];
  const raw = await denoiser.predict(rows, height, width, { left: (left * rows.length) / batch.length });
  const outputs = roll ? raw.map((output) => rolled(output, height, width, -roll[0], -roll[1])) : raw;
  return batch.map((canvas) => {
    const towards = outputs[pairs.length + order.indexOf(canvas)]!;
    const away = outputs[pairs.indexOf(canvas)];
    if (away === undefined) return { towards, guided: towards };
    return { towards, guided: sum([canvas.guidance, towards], [1 - canvas.guidance, away]) };
  });
}

const runMs = (parts: Parts): number =>
  [...parts.sessions, ...parts.adapters.sessions].reduce((total, session) => total + session.runMs, 0);
