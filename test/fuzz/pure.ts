import { inspect } from 'node:util';
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { parseCustomId, printCustomId } from '../../shared/picture/customId.ts';
import { type Foreign, readForeign } from '../../shared/picture/foreign/index.ts';
import {
  presentCancelled,
  presentFailure,
  presentProgress,
  presentQueued,
} from '../../shared/picture/jobMessage.ts';
import { readMetadata } from '../../shared/picture/metadata.ts';
import { readRecipe, recipeXmp, withRecipe, withText } from '../../shared/picture/png.ts';
import { recipeSchema } from '../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../shared/picture/resolve.ts';
import { cleanPicture } from '../../shared/picture/uploadedImage.ts';
import { type ModelCard, parseRender } from '../../shared/queue/job.ts';
import { PermanentError, UserError } from '../../shared/service/errors.ts';
import type { Random } from '../support/random.ts';
import { mutateBytes, mutateJson, mutateText } from './mutate.ts';
import { comfyGraph, comfyWorkflow, descendant, dynasty, parameters, recipe, request } from './samples.ts';

/** One attempt to break something. @returns what broke, undefined where nothing did */
export type Attempt = (random: Random) => Promise<string | undefined> | string | undefined;

const told = (input: unknown, why: unknown): string =>
  `${why instanceof Error ? (why.stack ?? why.message).split('\n').slice(0, 3).join(' ') : String(why)} ← ${inspect(input, { depth: 6 }).slice(0, 600)}`;

/** No text is more than a forged id; what is taken prints as it was. */
export const fuzzCustomIds: Attempt = (random) => {
  const from = `v1|${random.pick(['upscale', 'region-cells', 'zoom-custom', 'set-lane', 'cancel'])}|${random.between(0, 3)}|1190000000000000999${random.pick(['', '.2', '|1f'])}`;
  const text = mutateText(random.next() < 0.3 ? mutateText(from, random) : from, random);
  try {
    const parsed = parseCustomId(text);
    if (parsed.ok && printCustomId(parsed.id) !== text)
      return told(text, `printed ${printCustomId(parsed.id)}`);
    if (parsed.ok && text.length > 100) return told(text, 'longer than Discord takes');
    return undefined;
  } catch (error) {
    return told(text, error);
  }
};

const card: ModelCard = {
  name: 'tiny',
  title: 'Tiny',
  description: '',
  family: 'stable-diffusion',
  native: { width: 64, height: 64 },
  buckets: [
    [64, 64],
    [96, 64],
  ],
  defaults: { steps: 4, guidance: 7, scheduler: 'EulerDiscreteScheduler' },
  draft: { steps: 2 },
  hash: '0123456789abcdef',
  upscale: false,
};

/** Job data is refused by schema, or leads to a sound recipe and to messages that Discord takes. */
export const fuzzJobs: Attempt = (random) => {
  const data =
    random.next() < 0.02
      ? { ...request, parent: { ...request.parent, recipe: dynasty(random.between(1, 2_000)) } }
      : mutateJson(request, random);
  try {
    const render = parseRender(data);
    if (!render) return undefined;
    const shown = [
      presentQueued({ render, locale: 'vi', ahead: 3, waitMs: 90_000 }),
      presentProgress({ render, locale: 'en-US', percent: 31, preview: true }),
      presentFailure({ render, locale: 'en-US', code: 'failed', params: {}, ping: true }),
      presentCancelled({ render, locale: 'vi' }),
    ];
    for (const { content, allowed_mentions } of shown) {
      if (content.length > 2_000) return told(data, `a message of ${content.length} characters`);
      if (content.includes('\n\n')) return told(data, 'a message with an empty line');
      if (allowed_mentions.parse.length > 0) return told(data, 'a message that may ping');
    }
    const made = resolveRecipe(render, card);
    const sound = recipeSchema.safeParse(made);
    return sound.success ? undefined : told(data, `an unsound recipe: ${sound.error.message}`);
  } catch (error) {
    return error instanceof UserError || error instanceof PermanentError ? undefined : told(data, error);
  }
};

const plain = await sharp({ create: { width: 24, height: 16, channels: 3, background: '#fa0' } })
  .png()
  .toBuffer();
const files: readonly Buffer[] = [
  withRecipe(plain, recipe),
  withRecipe(plain, descendant, 2),
  await sharp(plain).webp({ quality: 60 }).withXmp(recipeXmp(descendant)).toBuffer(),
  await sharp(plain).jpeg().toBuffer(),
  plain,
];
/** More of the processors' time than this for one small file is an attack that worked. */
const SLOW_MS = 1_500;

/** Any bytes: no recipe or a sound one from the reader, a PNG or a UserError from the cleaner, and soon. */
export const fuzzPngs: Attempt = async (random) => {
  let bytes = mutateBytes(random.pick(files), random);
  if (random.next() < 0.5) bytes = mendChunks(bytes, random);
  if (random.next() < 0.02)
    bytes = withText(plain, { dreamgrid: JSON.stringify(dynasty(random.between(1, 2_000))) });
  if (random.next() < 0.1)
    bytes = withText(plain, { dreamgrid: JSON.stringify(mutateJson(descendant, random)) ?? '' });
  const began = process.cpuUsage();
  try {
    await readMetadata(bytes);
    const found = readRecipe(bytes);
    if (found && !recipeSchema.safeParse(found).success)
      return told(bytes.toString('base64'), 'an unsound recipe');
    await cleanPicture(bytes).catch((error: unknown) => {
      if (!(error instanceof UserError)) throw error;
    });
  } catch (error) {
    return told(bytes.toString('base64'), error);
  }
  return slow(bytes.toString('base64'), began);
};

function slow(input: unknown, began: NodeJS.CpuUsage): string | undefined {
  const { user, system } = process.cpuUsage(began);
  const ms = (user + system) / 1_000;
  return ms > SLOW_MS ? told(input, `${ms.toFixed(0)} ms`) : undefined;
}

/** Other programs' texts: read to what an embed can show, or not at all, and soon. */
export const fuzzForeign: Attempt = async (random) => {
  const wanted = random.pick(['parameters', 'prompt', 'workflow'] as const);
  let text = parameters;
  if (wanted === 'parameters')
    for (let i = random.between(1, 4); i > 0; i--)
      text = mutateText(random.next() < 0.3 ? stretched(text, random) : text, random);
  else if (wanted === 'prompt' && random.next() < 0.2) text = JSON.stringify(tangle(random));
  else text = JSON.stringify(mutateJson(wanted === 'prompt' ? comfyGraph : comfyWorkflow, random)) ?? '';
  const bytes = withText(plain, { [wanted]: text });
  const began = process.cpuUsage();
  let found: Foreign | undefined;
  try {
    found = await readForeign(bytes);
  } catch (error) {
    return told(text, error);
  }
  for (const [name, value] of Object.entries(found ?? {})) {
    if (name === 'loras') continue;
    if (typeof value === 'number' ? !(Number.isFinite(value) && value >= 0) : typeof value !== 'string')
      return told(text, `${name} is ${String(value)}`);
    if (String(value).length > 6_000) return told(text, `${name} has ${String(value).length} characters`);
  }
  return slow(text, began);
};

/** One piece of a text many times over: what a careless search looks through again and again. */
function stretched(text: string, random: Random): string {
  const at = random.between(0, text.length);
  const piece = random.pick([
    ' ',
    '\t',
    ', ',
    ': ',
    '"',
    '\\"',
    'a:"',
    text.slice(at, at + random.between(1, 6)),
  ]);
  return text.slice(0, at) + piece.repeat(random.between(1, 20_000)) + text.slice(at);
}

/** A graph with several wires from each node to any others, circles too. */
function tangle(random: Random): object {
  const size = random.between(1, 40);
  const wires = (): object =>
    Object.fromEntries(
      Array.from({ length: random.between(0, 12) }, (_, k) => [`i${k}`, [`${random.between(0, size)}`, k]]),
    );
  const node = (class_type: string, inputs: object) => ({ class_type, inputs });
  const nodes = Array.from({ length: size }, (_, n) => [n, node('Combine', wires())]);
  const ends = Object.fromEntries(
    ['positive', 'negative', 'latent_image', 'model'].map((name) => [name, ['0', 0]]),
  );
  return {
    ...Object.fromEntries(nodes),
    [size]: node('Text', random.next() < 0.5 ? { text: 'x' } : {}),
    s: node('KSampler', ends),
  };
}

/** Sound checksums for spoilt chunks, so that what is behind the checksum is reached; sometimes a bomb of zeros. */
function mendChunks(bytes: Buffer, random: Random): Buffer {
  const out: Buffer[] = [bytes.subarray(0, 8)];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (at + 12 + length > bytes.length) break;
    let data = bytes.subarray(at + 8, at + 8 + length);
    const type = bytes.subarray(at + 4, at + 8);
    if (type.toString('latin1') === 'IDAT' && random.next() < 0.1)
      data = deflateSync(Buffer.alloc(5_000_000));
    const body = Buffer.concat([type, data]);
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    out.push(size, body, sum);
    at += 12 + length;
  }
  return Buffer.concat(out);
}
