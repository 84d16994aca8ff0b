import { MAX_LINEAGE, type Recipe, recipeSchema, seedOf } from './recipe.ts';

/**
 * The recipe inside the file. PNG carries it in text chunks: `parameters` in the style of AUTOMATIC1111's web
 * UI, which many tools read, and `dreamgrid`, our own JSON. WebP (sent where a PNG is over the limit) carries
 * the JSON in its XMP chunk. Reading takes any bytes: what is not ours is `undefined`, never an exception.
 */
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const RECIPE_KEYWORD = 'dreamgrid';
/** A recipe with 24 ancestors and the longest prompts stays below this. */
const MAX_TEXT = 1 << 20;
const MAX_CHUNKS = 10_000;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

/** CRC-32 as in the PNG specification, annex D. */
export function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of bytes) c = (CRC_TABLE[(c ^ byte) & 0xff] as number) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8);
  return out;
}

/** tEXt where Latin-1 can say it, iTXt (uncompressed UTF-8) where not. */
function textChunk(keyword: string, text: string): Buffer {
  const clean = text.replaceAll('\0', '');
  const latin = [...clean].every((char) => (char.codePointAt(0) as number) < 256);
  return latin
    ? chunk('tEXt', Buffer.from(`${keyword}\0${clean}`, 'latin1'))
    : chunk('iTXt', Buffer.concat([Buffer.from(`${keyword}\0\0\0\0\0`, 'latin1'), Buffer.from(clean)]));
}

/** Puts text chunks right after the header, so that a reader finds them without the pixels. */
export function withText(png: Uint8Array, texts: Readonly<Record<string, string>>): Buffer {
  if (!isPng(png) || png.length < 33) throw new Error('not a PNG file');
  const chunks = Object.entries(texts).map(([keyword, text]) => textChunk(keyword, text));
  return Buffer.concat([png.subarray(0, 33), ...chunks, png.subarray(33)]);
}

const isPng = (bytes: Uint8Array): boolean => SIGNATURE.every((byte, i) => bytes[i] === byte);

/** Text chunks before the pixels or after them; compressed ones (zTXt) are not read: they could be bombs. */
export function readText(png: Uint8Array): Map<string, string> {
  const texts = new Map<string, string>();
  if (!isPng(png)) return texts;
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  for (let at = 8, count = 0; at + 12 <= bytes.length && count < MAX_CHUNKS; count++) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    const end = at + 12 + length;
    if (end > bytes.length || type === 'IEND') break;
    if ((type === 'tEXt' || type === 'iTXt') && length <= MAX_TEXT) {
      const sound = crc32(bytes.subarray(at + 4, end - 4)) === bytes.readUInt32BE(end - 4);
      const entry = sound ? parseText(type, bytes.subarray(at + 8, end - 4)) : undefined;
      if (entry && !texts.has(entry[0])) texts.set(...entry);
    }
    at = end;
  }
  return texts;
}

function parseText(type: string, data: Buffer): [string, string] | undefined {
  const zero = data.indexOf(0);
  if (zero < 1 || zero > 79) return undefined;
  const keyword = data.toString('latin1', 0, zero);
  if (type === 'tEXt') return [keyword, data.toString('latin1', zero + 1)];
  if (data[zero + 1] !== 0) return undefined; // compressed
  const language = data.indexOf(0, zero + 3);
  const translated = language < 0 ? -1 : data.indexOf(0, language + 1);
  return translated < 0 ? undefined : [keyword, data.toString('utf8', translated + 1)];
}

/** What AUTOMATIC1111's web UI writes and other tools parse; `index` picks the seed of one picture of a grid. */
export function parametersText(recipe: Recipe, index = 0): string {
  const main = recipe.parts
    .map(({ text, weight }) => (weight === 1 ? text : `(${text}:${weight})`))
    .join(' ')
    .replaceAll('\n', ' ');
  const fields = [
    `Steps: ${recipe.steps}`,
    `Sampler: ${recipe.scheduler}`,
    `CFG scale: ${recipe.guidance}`,
    `Seed: ${seedOf(recipe, index)}`,
    `Size: ${recipe.width}x${recipe.height}`,
    ...(recipe.modelHash ? [`Model hash: ${recipe.modelHash}`] : []),
    `Model: ${recipe.model}`,
    ...(recipe.image ? [`Denoising strength: ${recipe.image.strength}`] : []),
    'Version: Dreamgrid',
  ];
  const negative = recipe.negative ? [`Negative prompt: ${recipe.negative.replaceAll('\n', ' ')}`] : [];
  return [main, ...negative, fields.join(', ')].join('\n');
}

/** JSON in ASCII, so that it survives any tool that knows tEXt only. */
const recipeJson = (recipe: Recipe): string =>
  JSON.stringify(recipe).replace(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

export const withRecipe = (png: Uint8Array, recipe: Recipe, index = 0): Buffer =>
  withText(png, { parameters: parametersText(recipe, index), [RECIPE_KEYWORD]: recipeJson(recipe) });

/** An XMP packet for formats without text chunks. */
export const recipeXmp = (recipe: Recipe): string =>
  `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dreamgrid="https://dreamgrid.invalid/ns/"><dreamgrid:recipe>${Buffer.from(recipeJson(recipe)).toString('base64')}</dreamgrid:recipe></rdf:Description></rdf:RDF></x:xmpmeta>`;

/** The recipe in a PNG or WebP of ours; undefined for every other sequence of bytes. */
export function readRecipe(bytes: Uint8Array): Recipe | undefined {
  try {
    const json = isPng(bytes) ? readText(bytes).get(RECIPE_KEYWORD) : readXmpRecipe(bytes);
    if (json === undefined || json.length > MAX_TEXT) return undefined;
    const parsed = recipeSchema.safeParse(JSON.parse(json));
    return parsed.success && generations(parsed.data) <= MAX_LINEAGE + 1 ? parsed.data : undefined;
  } catch {
    return undefined; // not JSON, or nested deeper than the stack
  }
}

function generations(recipe: Recipe): number {
  let count = 1;
  for (let at = recipe.parent?.recipe; at; at = at.parent?.recipe) count++;
  return count;
}

/** RIFF (WebP container): 'RIFF' size 'WEBP', then chunks of fourcc, little-endian size, data padded to even. */
function readXmpRecipe(webp: Uint8Array): string | undefined {
  const bytes = Buffer.from(webp.buffer, webp.byteOffset, webp.byteLength);
  if (bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP')
    return undefined;
  for (let at = 12, count = 0; at + 8 <= bytes.length && count < MAX_CHUNKS; count++) {
    const length = bytes.readUInt32LE(at + 4);
    if (at + 8 + length > bytes.length) return undefined;
    if (bytes.toString('latin1', at, at + 4) === 'XMP ' && length <= 2 * MAX_TEXT) {
      const text = bytes.toString('latin1', at + 8, at + 8 + length);
      const found = /<dreamgrid:recipe>([A-Za-z0-9+/=]*)<\/dreamgrid:recipe>/.exec(text);
      return found ? Buffer.from(found[1] as string, 'base64').toString('utf8') : undefined;
    }
    at += 8 + length + (length % 2);
  }
  return undefined;
}
