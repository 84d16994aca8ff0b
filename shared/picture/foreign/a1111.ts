import { type Evidence, type Foreign, HASH, hashed, lorasIn, sizeFrom, toForeign } from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * AUTOMATIC1111's web UI and programs that write its format (Forge, SD.Next, Civitai, Fooocus on demand):
 *
 *     prompt, over any number of lines
 *     Negative prompt: likewise
 *     Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Lora hashes: "a: 1, b: 2", Version: v1.10
 *     Template: what an extension adds
 */
export function readA1111({ plain }: Evidence): Foreign | undefined {
  for (const { at, text } of plain) {
    // `parameters` is this program's own keyword; a text elsewhere must have its settings.
    if (at !== 'parameters' && !SETTINGS.test(text.slice(0, MAX_TEXT))) continue;
    const found = readParameters(text);
    if (found) return found;
  }
  return undefined;
}

const MAX_TEXT = 200_000;
const MAX_FIELDS = 20_000;
const SETTINGS = /(?:^|[\n\r]|\s)Steps: ?\d+,? /;
/** A line that begins with a field that only settings have, followed by more fields. */
const FIRST_FIELD =
  /^(?:Steps: ?\d+\b|(?:Sampler|CFG scale|Seed|Size|Model(?: hash)?): ?[^,\n]{1,200}, (?:Steps|Sampler|CFG scale|Seed|Size|Model(?: hash)?): ?)/;
/** The start of the settings where words and settings are on one line. */
const INLINE = /\s(?=Steps: ?\d{1,6}, [A-Z][\w +]{1,40}: ?)/g;
const NEGATIVE = /^Negative prompt: ?/;

/** @returns undefined for a text without words and without settings */
export function readParameters(whole: string): Foreign | undefined {
  const text = whole.slice(0, MAX_TEXT).replace(/\r\n?/g, '\n');
  const { words, settings } = cut(text);
  const fields = readFields(settings);
  const lines = words.split('\n');
  const at = lines.findIndex((line) => NEGATIVE.test(line));
  const inline = at < 0 ? / Negative prompt: ?/.exec(words) : null;
  const prompt = inline ? words.slice(0, inline.index) : lines.slice(0, at < 0 ? undefined : at).join('\n');
  const negative = inline
    ? words.slice(inline.index + inline[0].length)
    : at < 0
      ? ''
      : lines.slice(at).join('\n').replace(NEGATIVE, '');
  if (prompt.trim() === '' && fields.size === 0) return undefined;
  const schedule = fields.get('schedule type') ?? fields.get('scheduler');
  return toForeign({
    tool: toolOf(fields),
    prompt,
    negative,
    seed: fields.get('seed'),
    steps: fields.get('steps'),
    guidance: fields.get('cfg scale') ?? fields.get('guidance scale'),
    ...sizeFrom(fields.get('size')),
    sampler: samplerNamed(fields.get('sampler'), schedule),
    scheduler: schedule,
    model: fields.get('model'),
    loras: hashed(lorasIn(prompt), hashesIn(settings)),
  });
}

/** The settings begin at the last line that starts with `Steps: <number>`; all behind it belongs to them. */
function cut(text: string): { words: string; settings: string } {
  const lines = text.split('\n');
  let last = lines.findLastIndex((line) => /^Steps: ?\d+\b/.test(line));
  if (last < 0) last = lines.findLastIndex((line) => FIRST_FIELD.test(line));
  if (last >= 0) return { words: lines.slice(0, last).join('\n'), settings: lines.slice(last).join('\n') };
  const inline = [...text.matchAll(INLINE)].at(-1);
  if (!inline) return { words: text, settings: '' };
  return { words: text.slice(0, inline.index), settings: text.slice(inline.index + 1) };
}

/**
 * Settings by lower-case name; the first of a name counts. Values with commas are quoted and may go
 * over lines. Runs of blanks become one, since the expression would try each anew.
 */
function readFields(settings: string): Map<string, string> {
  const fields = new Map<string, string>();
  const own = settings.split(/\n(?=(?:Negative )?Template: )/, 1)[0] as string;
  const line = own.replace(/\s+/g, ' ').slice(0, MAX_FIELDS);
  for (const match of line.matchAll(/ ?([\w /]{1,40}): ?("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)/g)) {
    const name = (match[1] as string).trim().toLowerCase();
    if (!fields.has(name)) fields.set(name, (match[2] as string).replace(/^"|"$/g, '').trim());
  }
  return fields;
}

/**
 * By lower-case name. `Lora hashes: "a: 1a2b…, b: …"` hash the tensors; `Hashes: {"lora:a": "1a2b…"}`, of
 * Civitai's extension, the whole file.
 */
function hashesIn(settings: string): Map<string, string> {
  const line = settings.slice(0, MAX_FIELDS);
  const [, list = ''] = /Lora hashes: ?"([^"\n]{0,5000})"/.exec(line) ?? [];
  const [, object = ''] = /(?:^|[,\n] ?)Hashes: ?\{([^{}\n]{0,5000})\}/.exec(line) ?? [];
  const named = [
    ...list.split(',').map((pair) => /^(.{1,200}): *(\w+)$/.exec(pair.trim())),
    ...object.split(',').map((pair) => /^"lora:(.{1,200}?)": *"(\w+)"$/i.exec(pair.trim())),
  ];
  return new Map(
    named.flatMap((match) => {
      const [, name = '', word = ''] = match ?? [];
      const [, hash] = HASH.exec(word) ?? [];
      return hash === undefined ? [] : [[name.trim().toLowerCase(), hash.toLowerCase()] as const];
    }),
  );
}

const toolOf = (fields: ReadonlyMap<string, string>): string => {
  const version = fields.get('version') ?? '';
  if (version === 'Dreamgrid' || version === 'ComfyUI') return version;
  if (/^Fooocus/i.test(version)) return 'Fooocus';
  return fields.get('app') === 'SD.Next' ? 'SD.Next' : 'AUTOMATIC1111';
};
