/** From a request to pictures through a picture embedding, in numbered steps. */
import { throwIfAborted } from '../diffuse.ts';
import { badRequest, EngineError } from '../errors.ts';
import { createGenerator } from '../latents/rng.ts';
import type { GenerateHooks, GenerateRequest, GenerateResult, PromptPart } from '../types.ts';
import { decode, decoderSteps } from './decode.ts';
import {
  checkMeaning,
  findMeaning,
  needsPrior,
  priorGuidance,
  priorRuns,
  priorSteps,
} from './findEmbedding.ts';
import type { Course } from './stage.ts';
import { readText } from './text.ts';
import type { DecoderCondition, Meant, UnclipParts } from './unclipModel.ts';

/** Paints the request's pictures, one a seed. @throws EngineError: bad-request, unsupported, aborted … */
export async function generateThroughEmbedding(
  parts: UnclipParts,
  request: GenerateRequest,
  hooks: GenerateHooks,
): Promise<GenerateResult> {
  const { painter, encoder } = parts;
  const runMs = (): number => parts.sessions.reduce((total, session) => total + session.runMs, 0);
  const before = runMs();
  const began = performance.now();

  // 1. Refuse what cannot be painted.
  checkStages(request);
  checkMeaning(request);
  const shape = painter.shapeOf(request.width, request.height);

  // 2. Encode the texts. Each picture's generator is used in all stages, in diffusers' order.
  const emphasis = request.emphasis ?? true;
  const read = (text: string | readonly PromptPart[], weighted = emphasis) =>
    readText(encoder, typeof text === 'string' ? [{ text, weight: 1 }] : text, weighted);
  const told = await read(request.prompt);
  const empty = await read('', false);
  const against = request.negative === undefined ? empty : await read(request.negative);
  const generators = request.seeds.map((seed) => createGenerator(seed));
  const encodeMs = performance.now() - began;
  throwIfAborted(hooks.signal);

  // 3. The picture embeddings.
  const course: Course = {
    hooks,
    steps:
      priorRuns(parts, request) * priorSteps(parts, request) +
      decoderSteps(request) +
      painter.stepsAfter(request),
    done: 0,
    stepMs: [],
    maxBatch: request.maxBatch ?? request.seeds.length,
  };
  const meant = await findMeaning(parts, request, { told, against, empty }, generators, course);

  // 4. The decoder: a small picture, or a latent.
  const guidanceOf = (i: number): number =>
    typeof request.guidance === 'number' ? request.guidance : request.guidance[i]!;
  const guides = (guidance: number): boolean =>
    guidance > 1 || (needsPrior(request) && priorGuidance(parts, request) > 1);
  const conditions: DecoderCondition[] = [];
  for (const [i, one] of meant.entries()) {
    const guidance = guidanceOf(i);
    conditions.push(await painter.conditions(one, told, guides(guidance) ? against : undefined, guidance));
  }
  const original = request.meaning?.keepLayout ? await originalOf(parts, request) : undefined;
  const samples = await decode(painter, request, shape, conditions, original, generators, course);

  // 5. Enlarge by diffusion, or decode the latent.
  const decodeStarted = performance.now();
  const pictures = await painter.finish(samples, shape, request, generators, course);
  const check = request.check === false ? undefined : parts.check;
  const flagged: boolean[] = [];
  for (const [i, picture] of pictures.entries()) {
    throwIfAborted(hooks.signal);
    if (picture.data.some((value) => Number.isNaN(value)))
      throw new EngineError('not-a-number', `seed ${request.seeds[i]}: the picture came out as not-a-number`);
    if (check) flagged.push(await check(picture));
  }
  return {
    pictures,
    latents: samples,
    latentShape: [shape.channels, shape.height, shape.width],
    imageEmbeddings: meant.map(({ z }) => z),
    ...(check ? { flagged } : {}),
    timings: {
      encodeMs,
      stepMs: course.stepMs,
      decodeMs: performance.now() - decodeStarted,
      runMs: runMs() - before,
    },
  };

  /** The embedding of the picture whose layout stays, before anything is mixed or reworded. */
  async function originalOf(
    { encodeImage }: UnclipParts,
    { meaning }: GenerateRequest,
  ): Promise<DecoderCondition | undefined> {
    const picture = meaning?.pictures[0];
    if (!picture || !encodeImage) return undefined;
    const shown: Meant = { z: await encodeImage(picture) };
    const text = meaning.reword ? await read(meaning.reword.from, false) : told;
    return painter.conditions(shown, text, undefined, 1);
  }
}

/** @throws EngineError 'bad-request', or 'unsupported' for options that these models lack */
function checkStages(request: GenerateRequest): void {
  const whole = (name: string, value: number | undefined): void => {
    if (value !== undefined && (!Number.isInteger(value) || value < 1 || value > 1000))
      throw badRequest(`${name} ${value} must be a whole number from 1 to 1000`);
  };
  whole('steps', request.steps);
  whole("the prior's steps", request.prior?.steps);
  whole("super-resolution's steps", request.superRes?.steps);
  if (request.seeds.length === 0) throw badRequest('no seed, so no picture');
  for (const seed of request.seeds)
    if (!Number.isSafeInteger(seed)) throw badRequest(`seed ${seed} must be a whole number`);
  const scales = [request.guidance].flat();
  if (typeof request.guidance !== 'number' && scales.length !== request.seeds.length)
    throw badRequest(`${scales.length} guidance scales for ${request.seeds.length} pictures`);
  for (const scale of [...scales, request.prior?.guidance ?? 1])
    if (!Number.isFinite(scale)) throw badRequest(`guidance ${scale} is no number`);
  if (typeof request.prompt !== 'string' && request.prompt.length === 0)
    throw badRequest('a prompt of no parts');
  const { stop, init } = request;
  if (stop !== undefined && !(stop > 0 && stop <= 1))
    throw badRequest(`stop ${stop} must lie above 0 and at most at 1`);
  if (init && !(init.strength >= 0 && init.strength <= 1))
    throw badRequest(`strength ${init.strength} must lie between 0 and 1`);
  if (init && !init.image) throw badRequest('init needs an image: this model starts from no latents');
  if (request.mask)
    throw new EngineError('unsupported', 'a model with a picture embedding repaints no part of a picture');
  if (request.loras?.some((list) => list.length > 0))
    throw new EngineError('unsupported', 'a model with a picture embedding takes no LoRAs');
  if (request.embeddings?.length)
    throw new EngineError('unsupported', 'a model with a picture embedding takes no embeddings for words');
  if (request.tile)
    throw new EngineError('unsupported', 'a model with a picture embedding paints no seamless pattern');
}
