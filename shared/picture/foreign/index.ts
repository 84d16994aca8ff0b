import { type Metadata, readMetadata } from '../metadata.ts';
import { readRecipe } from '../png.ts';
import { readA1111 } from './a1111.ts';
import { readComfyUi } from './comfyui.ts';
import { readDrawThings } from './drawThings.ts';
import { fromRecipe } from './dreamgrid.ts';
import { readEasyDiffusion } from './easyDiffusion.ts';
import { readFooocus } from './fooocus.ts';
import { type Evidence, type Foreign, isObject } from './foreign.ts';
import { readInvoke } from './invoke.ts';
import { readNovelAi } from './novelai.ts';
import { parsePythonJson } from './pythonJson.ts';
import { readStealth } from './stealth.ts';
import { readSwarm } from './swarm.ts';

export type { Foreign, Lora } from './foreign.ts';

/** Readers of each program's format: those with certain marks before those with loose marks. */
const PROGRAMS: readonly ((evidence: Evidence) => Foreign | undefined)[] = [
  readSwarm,
  readFooocus,
  readInvoke,
  readNovelAi,
  readDrawThings,
  readEasyDiffusion,
  readA1111,
  readComfyUi,
];

/**
 * How a picture was painted, by us or by another program.
 *
 * @param bytes of any file; hostile bytes are `undefined`, never an exception
 * @returns undefined where the file does not say
 */
export async function inspectPicture(bytes: Uint8Array): Promise<Foreign | undefined> {
  const recipe = readRecipe(bytes);
  if (!recipe) {
    const found = await readForeign(bytes);
    const loras = found?.loras?.map(({ hash: _, ...lora }) => lora);
    return found && { ...found, ...(loras ? { loras } : {}) };
  }
  return fromRecipe(recipe, (await readMetadata(bytes)).texts.get('parameters'));
}

/** The same for other programs' pictures alone: AUTOMATIC1111 and its kin, ComfyUI, SwarmUI, Fooocus, InvokeAI, NovelAI, Easy Diffusion, Draw Things. */
export async function readForeign(bytes: Uint8Array): Promise<Foreign | undefined> {
  const metadata = await readMetadata(bytes);
  const found = firstOf(toEvidence(metadata));
  if (found) return found;
  const hidden = await readStealth(bytes);
  if (hidden === undefined) return undefined;
  const object = jsonObject(hidden);
  const texts = object
    ? Object.entries(object).flatMap(([name, value]) =>
        typeof value === 'string' ? [[name, value] as const] : [],
      )
    : [['parameters', hidden] as const];
  const bare = { comment: undefined, exif: new Map(), xmp: new Map(), sound: true };
  return firstOf(toEvidence({ ...bare, texts: new Map(texts) }));
}

function firstOf(evidence: Evidence): Foreign | undefined {
  for (const read of PROGRAMS) {
    const found = read(evidence);
    if (found) return found;
  }
  return undefined;
}

/** XMP properties that hold a whole description. */
const XMP_TEXTS = ['UserComment', 'parameters', 'description', 'prompt', 'workflow'];
const EXIF_TEXTS = ['ImageDescription', 'XPComment', 'Make', 'Model', 'Software', 'DocumentName'];

function toEvidence(metadata: Metadata): Evidence {
  const { texts, comment, exif, xmp } = metadata;
  const places: [at: string, text: string][] = [
    ...texts,
    ...(comment === undefined ? [] : [['comment', comment] as [string, string]]),
    ...XMP_TEXTS.flatMap((name): [string, string][] =>
      xmp.has(name) ? [['xmp', xmp.get(name) as string]] : [],
    ),
    ...EXIF_TEXTS.flatMap((name): [string, string][] =>
      exif.has(name) ? [['exif', exif.get(name) as string]] : [],
    ),
  ];
  const objects: { at: string; value: Record<string, unknown> }[] = [];
  const plain: { at: string; text: string }[] = [];
  for (const [at, text] of places) {
    const value = jsonObject(text);
    if (value) objects.push({ at, value });
    else if (!looksLikeJson(text)) plain.push({ at, text });
  }
  // `parameters`, made for settings, is read before keywords that may hold anything.
  plain.sort((a, b) => Number(b.at === 'parameters') - Number(a.at === 'parameters'));
  return { ...metadata, objects, plain };
}

/** Longer JSON texts are not parsed. */
const MAX_JSON = 16 << 20;

/** Some programs write JSON into a string of JSON. */
function jsonObject(text: string, depth = 0): Record<string, unknown> | undefined {
  if (text.length > MAX_JSON || !/^\s*["{]/.test(text)) return undefined;
  try {
    const value = parsePythonJson(text.replace(/\0+$/, ''));
    if (typeof value === 'string' && depth === 0) return jsonObject(value, 1);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** JSON that cannot be parsed (a list, cut short) is no prompt; `{red|blue} fox` is a prompt. */
const looksLikeJson = (text: string): boolean => {
  if (/^\s*\{\s*(?:"|\})/.test(text)) return true;
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
};
