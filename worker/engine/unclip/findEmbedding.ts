/** From a request to a picture embedding for each picture: by the prior, from pictures, or both. */

import { badRequest, EngineError } from '../errors.ts';
import { createGenerator, type Generator } from '../latents/rng.ts';
import { sum } from '../schedulers/plan.ts';
import { perturb } from '../text/conditioning.ts';
import type { GenerateRequest, Meaning, Picture } from '../types.ts';
import { interpolate, reword } from './embeddingArithmetic.ts';
import { type Prior, samplePrior, shareNoise } from './prior.ts';
import type { Course } from './stage.ts';
import { readText, type Told } from './text.ts';
import type { Meant, UnclipParts } from './unclipModel.ts';

export interface Words {
  readonly told: Told;
  /** The text that guidance pushes away from: the negative prompt, or the empty text. */
  readonly against: Told;
  readonly empty: Told;
}

/** Whether the prompt's own embedding has a weight. */
export const needsPrior = ({ meaning }: GenerateRequest): boolean =>
  meaning === undefined || (meaning.text ?? 0) > 0;

/** Steps of the prior. */
export const priorSteps = ({ stages }: UnclipParts, request: GenerateRequest): number =>
  request.prior?.steps ?? stages.prior?.steps ?? 25;

/** Guidance scale of the prior. */
export const priorGuidance = ({ stages }: UnclipParts, request: GenerateRequest): number =>
  request.prior?.guidance ?? stages.prior?.guidance ?? 4;

/** How often the prior runs for a request. */
export function priorRuns({ layout }: UnclipParts, request: GenerateRequest): number {
  const first = needsPrior(request) ? 1 : 0;
  return first + (layout.family === 'kandinsky-2.2' && againstApart(request) ? 1 : 0);
}

/** Whether the prior runs once more, for the negative embedding of Kandinsky's decoder. */
const againstApart = (request: GenerateRequest): boolean =>
  request.meaning?.mix === 'sum' || (!needsPrior(request) && request.negative !== undefined);

/** @param generators one for each picture, drawn from in diffusers' order */
export async function findMeaning(
  parts: UnclipParts,
  request: GenerateRequest,
  words: Words,
  generators: readonly Generator[],
  course: Course,
): Promise<Meant[]> {
  // 1. The prompt's own embedding.
  const own = needsPrior(request) ? await fromWords(parts, request, words, generators, course) : undefined;
  // 2. The pictures' embeddings, once for all, and the difference of two texts.
  const { meaning } = request;
  const pictures: Float32Array[] = [];
  for (const picture of meaning?.pictures ?? []) pictures.push(await eyeOf(parts)(picture));
  // 3. The negative embeddings for the decoder's guidance.
  const negatives = await negativesOf(parts, request, words, generators, course, own);
  const moved = meaning?.reword && (await textsOf(parts, meaning.reword));
  return request.seeds.map((_, i) => {
    let z = mixed(request, own?.[i]?.[0], pictures);
    if (moved) z = reword(z, moved.from, moved.to, meaning!.reword!.strengths[i] ?? 0);
    const { perturb: amount = 0, seed = 0 } = request.noise ?? {};
    z = perturb({ hidden: z, width: z.length, tokens: 1, pooled: z }, amount, seed).hidden;
    const negative = negatives?.[i];
    return { z, ...(negative ? { negative } : {}) };
  });
}

function mixed(
  { meaning }: GenerateRequest,
  own: Float32Array | undefined,
  pictures: readonly Float32Array[],
): Float32Array {
  const vectors = own ? [own, ...pictures] : pictures;
  if (!meaning) return own!;
  const weights = [...(own ? [meaning.text!] : []), ...(meaning.weights ?? pictures.map(() => 1))];
  if (meaning.mix === 'sum') return sum(...vectors.map((vector, i) => [weights[i]!, vector] as const));
  return interpolate(vectors, weights);
}

/** For each picture: the prompt's embedding and, for Kandinsky with a negative, the negative's, sampled together. */
function fromWords(
  parts: UnclipParts,
  request: GenerateRequest,
  { told, against, empty }: Words,
  generators: readonly Generator[],
  course: Course,
): Promise<Float32Array[][]> {
  const kandinsky = parts.layout.family === 'kandinsky-2.2';
  if (kandinsky && againstApart(request))
    return sampled(parts, request, [told], [empty], generators, course, []);
  const towards = kandinsky && request.negative !== undefined ? [told, against] : [told];
  // UnCLIPPipeline guides both stages as soon as one of their scales is above 1.
  const others = kandinsky ? [] : [request.guidance].flat();
  return sampled(
    parts,
    request,
    towards,
    towards.map(() => against),
    generators,
    course,
    others,
  );
}

/** Negative embeddings for the guidance of Kandinsky's decoder; undefined for other families. */
async function negativesOf(
  parts: UnclipParts,
  request: GenerateRequest,
  { against, empty }: Words,
  generators: readonly Generator[],
  course: Course,
  own: readonly Float32Array[][] | undefined,
): Promise<Float32Array[] | undefined> {
  if (parts.layout.family !== 'kandinsky-2.2') return undefined;
  if (own?.[0]?.length === 2) return own.map((both) => both[1]!);
  // diffusers runs the prior for the empty text, too, and uses only its random draws.
  const apart = againstApart(request)
    ? await sampled(parts, request, [against], [empty], generators, course, [])
    : undefined;
  if (apart && request.negative) return apart.map(([negative]) => negative!);
  if (![request.guidance].flat().some((scale) => scale > 1)) return undefined;
  const zero = await parts.zeroEmbedding();
  return request.seeds.map(() => zero);
}

function sampled(
  parts: UnclipParts,
  request: GenerateRequest,
  towards: readonly Told[],
  against: readonly Told[],
  generators: readonly Generator[],
  course: Course,
  otherScales: readonly number[],
): Promise<Float32Array[][]> {
  const guidance = priorGuidance(parts, request);
  const share = request.sharedNoise ?? 0;
  return samplePrior(
    priorOf(parts),
    {
      towards,
      // At scale 1 the unconditional half has no weight.
      against: Math.max(guidance, ...otherScales) > 1 && guidance !== 1 ? against : undefined,
      guidance,
      steps: priorSteps(parts, request),
      generators: generators.map((own, i) =>
        share === 0 || i === 0 ? own : shareNoise(own, createGenerator(request.seeds[0]!), share),
      ),
      seeds: request.seeds,
    },
    course,
  );
}

async function textsOf(
  { encoder }: UnclipParts,
  { from, to }: NonNullable<Meaning['reword']>,
): Promise<{ from: Float32Array; to: Float32Array }> {
  const read = async (text: string) => (await readText(encoder, [{ text, weight: 1 }], false)).embedding;
  return { from: await read(from), to: await read(to) };
}

/** @throws EngineError 'unsupported' for a model without a prior */
function priorOf({ prior, folder, layout }: UnclipParts): Prior {
  if (prior) return prior;
  const file = folder.at(`${layout.prior}/model.onnx`);
  throw new EngineError(
    'unsupported',
    `${file} is missing: without a prior this model takes pictures (meaning, --variation) and no words`,
    { file },
  );
}

/** @throws EngineError 'unsupported' for a model without an image encoder */
function eyeOf({ encodeImage, folder, layout }: UnclipParts): (picture: Picture) => Promise<Float32Array> {
  if (encodeImage) return encodeImage;
  const file = folder.at(`${layout.imageEncoder}/model.onnx`);
  throw new EngineError(
    'unsupported',
    `${file} is missing: without an image encoder this model takes words and no pictures`,
    { file },
  );
}

/** @throws EngineError 'bad-request' for a `meaning` that does not fit the request */
export function checkMeaning({ meaning, seeds }: GenerateRequest): void {
  if (!meaning) return;
  const { pictures, weights, text = 0, reword: moved } = meaning;
  if (pictures.length === 0 && !(moved && text > 0))
    throw badRequest('meaning needs a picture (or a text weight and something to reword)');
  if (weights && weights.length !== pictures.length)
    throw badRequest(`${weights.length} weights for ${pictures.length} pictures`);
  const all = [text, ...(weights ?? pictures.map(() => 1))];
  if (all.some((weight) => !Number.isFinite(weight)) || all.some((weight) => weight < 0))
    throw badRequest(`weights of a meaning must be 0 or more; got ${all.join(', ')}`);
  if (all.every((weight) => weight === 0))
    throw badRequest('at least one weight of a meaning must be above 0');
  if (moved && moved.strengths.length !== seeds.length)
    throw badRequest(`${moved.strengths.length} strengths of a rewording for ${seeds.length} pictures`);
  for (const strength of moved?.strengths ?? [])
    if (!(strength >= 0 && strength <= 1))
      throw badRequest(`a rewording's strength must lie between 0 and 1; got ${strength}`);
}
