import { crc32 } from 'node:zlib';
import { readPlainMetadata } from './metadata.ts';
import { MAX_LINEAGE, type Recipe, recipeSchema, seedOf } from './recipe.ts';

/**
 * The recipe inside a file. PNG carries it in text chunks: `parameters` in the style of AUTOMATIC1111's web
 * UI, which many tools read, and `dreamgrid`, our own JSON. WebP (sent where a PNG is over the limit) carries
 * the JSON in its XMP. Both say in XMP that a machine painted them. Reading takes any bytes: other files are
 * `undefined`, never an exception. Chunks are written by hand: no library in use writes them; one reads them.
 */
const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const RECIPE_KEYWORD = 'dreamgrid';
/** Keyword of the iTXt chunk that holds XMP (Adobe, XMP Specification Part 3, 1.1.5). */
const XMP_KEYWORD = 'XML:com.adobe.xmp';
/** Most bytes of a recipe's text; one with 24 ancestors and the longest prompts is smaller. */
const MAX_TEXT = 1 << 20;

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8);
  return out;
}

/** A tEXt chunk for text in Latin-1, else iTXt (uncompressed UTF-8). */
function textChunk(keyword: string, text: string): Buffer {
  const clean = text.replaceAll('\0', '');
  const latin = keyword !== XMP_KEYWORD && [...clean].every((char) => (char.codePointAt(0) as number) < 256);
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

/** Settings as AUTOMATIC1111's web UI writes them, for other tools; `index` picks a grid picture's seed. */
export function parametersText(recipe: Recipe, index = 0): string {
  const main = recipe.parts
    .map(({ text, weight }) => (weight === 1 ? text : `(${text}:${weight})`))
    .join(' ')
    .replaceAll('\n', ' ');
  const fields = [
    `Steps: ${recipe.steps}`,
    `Sampler: ${recipe.scheduler}`,
    // The web UI's name for trailing timesteps.
    ...(recipe.spacing ? ['Schedule type: SGM Uniform'] : []),
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

/** The PNG with recipe, parameters and XMP as text chunks; `index` of a grid's picture, 0-based. */
export const withRecipe = (png: Uint8Array, recipe: Recipe, index = 0): Buffer =>
  withText(png, {
    parameters: parametersText(recipe, index),
    [RECIPE_KEYWORD]: recipeJson(recipe),
    [XMP_KEYWORD]: paintedXmp(),
  });

/**
 * IPTC's word for a picture that a trained model made: the mark that machines look for.
 * https://cv.iptc.org/newscodes/digitalsourcetype/
 */
const SOURCE_TYPE = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';

const xmpPacket = (attributes: string, inside = ''): string =>
  `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"${attributes}><Iptc4xmpExt:DigitalSourceType>${SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>${inside}</rdf:Description></rdf:RDF></x:xmpmeta>`;

/** XMP that says only that a model painted the picture; for every picture that is sent. */
export const paintedXmp = (): string => xmpPacket('');

/** The same XMP with the recipe, for formats without text chunks. */
export const recipeXmp = (recipe: Recipe): string =>
  xmpPacket(
    ' xmlns:dreamgrid="https://dreamgrid.invalid/ns/"',
    `<dreamgrid:recipe>${Buffer.from(recipeJson(recipe)).toString('base64')}</dreamgrid:recipe>`,
  );

/** The recipe in a PNG or WebP of ours; undefined for every other sequence of bytes. */
export function readRecipe(bytes: Uint8Array): Recipe | undefined {
  const { texts, xmp, sound } = readPlainMetadata(bytes);
  const packed = xmp.get('recipe');
  const json =
    texts.get(RECIPE_KEYWORD) ??
    (packed === undefined ? undefined : Buffer.from(packed, 'base64').toString('utf8'));
  if (json === undefined || json.length > MAX_TEXT || !sound) return undefined;
  try {
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
