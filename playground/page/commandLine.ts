import type { Json } from './types.ts';

/** Parses the composer's text into a command, its options, and the caret's place. Pure. */

export interface Typed {
  /** The words after the slash, as far as they name a command: `prefer suffix`. */
  path: string;
  command: Json;
  /** The option list in force (a subcommand's own, where there is one). */
  options: Json[];
  /** Raw text by option name. */
  values: Record<string, string>;
  /** Where each value stands in the text. */
  spans: { name: string; labelStart: number; start: number; end: number }[];
  /** The option the caret is in. */
  current: string | undefined;
  /** Where the command's own words end. */
  headEnd: number;
}

interface Found {
  command: Json;
  level: Json;
  path: string;
  end: number;
}

export function nameIn(part: Json, locale: string): string {
  return part['name_localizations']?.[locale] ?? part['name'];
}
export function descriptionIn(part: Json, locale: string): string {
  return part['description_localizations']?.[locale] ?? part['description'];
}

const slash = (commands: Json[]): Json[] => commands.filter((c) => c['type'] === 1);
const isLeaf = (part: Json): boolean => !(part['options'] ?? []).some((o: Json) => o['type'] <= 2);

function walk(text: string, commands: Json[], locale: string): Found | undefined {
  const words = /^\/(\S+)/.exec(text);
  if (!words) return undefined;
  const command = slash(commands).find((c) => c['name'] === words[1] || nameIn(c, locale) === words[1]);
  if (!command) return undefined;
  let level = command;
  let path: string = command['name'];
  let end = words[0].length;
  while (!isLeaf(level)) {
    const next = /^ +(\S+)/.exec(text.slice(end));
    const sub =
      next && level['options'].find((o: Json) => o['name'] === next[1] || nameIn(o, locale) === next[1]);
    if (!next || !sub) return { command, level, path, end };
    end += next[0].length;
    path += ` ${sub['name']}`;
    level = sub;
  }
  return { command, level, path, end };
}

/** Undefined while the text names no whole command yet. */
export function readCommand(
  text: string,
  caret: number,
  commands: Json[],
  locale = 'en-US',
): Typed | undefined {
  const found = walk(text, commands, locale);
  if (!found || !isLeaf(found.level)) return undefined;
  const options: Json[] = found.level['options'] ?? [];
  const typed = options.filter((o) => o['type'] !== 11);
  const rest = text.slice(found.end);
  const spans: Typed['spans'] = [];
  const lead = rest.length - rest.trimStart().length;
  const from = found.end + lead;
  const mark = (name: string) => `${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}:`;
  const labels = typed.flatMap((o) =>
    [...new Set([o['name'], nameIn(o, locale)])].map((label) => ({ option: o, label })),
  );
  const startsNamed = labels.some(({ label }) => text.slice(from).startsWith(`${label}:`));
  // Free text is the first string option, whole: a prompt may well contain `seed:` or a colon.
  const free =
    typed.find((o) => o['type'] === 3 && o['required']) ??
    typed.find((o) => o['required']) ??
    typed.find((o) => o['type'] === 3) ??
    typed[0];
  if (!startsNamed && free && (rest.trim() !== '' || rest.length > 0)) {
    if (rest.trim() !== '')
      spans.push({ name: free['name'], labelStart: from, start: from, end: text.length });
  } else if (startsNamed) {
    const pattern = new RegExp(`(^|\\s)(${labels.map((l) => mark(l.label)).join('|')})`, 'gu');
    const hits = [...text.slice(from).matchAll(pattern)].map((m) => ({
      at: from + m.index + m[1]!.length,
      label: m[2]!.slice(0, -1),
    }));
    hits.forEach((hit, i) => {
      const name: string = labels.find((l) => l.label === hit.label)!.option['name'];
      const start = hit.at + hit.label.length + 1;
      const end = hits[i + 1]?.at ?? text.length;
      if (!spans.some((s) => s.name === name)) spans.push({ name, labelStart: hit.at, start, end });
      else spans[spans.length - 1]!.end = end;
    });
  }
  const values = Object.fromEntries(spans.map((s) => [s.name, text.slice(s.start, s.end).trim()]));
  const current = spans.find((s) => caret >= s.start && caret <= s.end)?.name;
  return { path: found.path, command: found.command, options, values, spans, current, headEnd: found.end };
}

export interface Suggestion {
  kind: 'command' | 'option' | 'choice';
  /** The text that the suggestion inserts. */
  insert: string;
  label: string;
  description: string;
  part: Json;
  value?: string | number | boolean;
}

/** Commands and subcommands that begin with the typed text, then those that contain it. */
export function suggestCommands(text: string, commands: Json[], locale = 'en-US'): Suggestion[] {
  if (!text.startsWith('/')) return [];
  const found = walk(text, commands, locale);
  const under = found && !isLeaf(found.level) ? found : undefined;
  if (!under && /\s/.test(text)) return [];
  const wanted = (under ? text.slice(under.end) : text.slice(1)).trim().toLowerCase();
  const pool: Json[] = under ? under.level['options'] : slash(commands);
  const prefix = under ? `${text.slice(0, under.end)} ` : '/';
  const score = (part: Json): number => {
    const names = [part['name'], nameIn(part, locale)].map((n: string) => n.toLowerCase());
    if (names.some((n) => n.startsWith(wanted))) return 0;
    return names.some((n) => n.includes(wanted)) ? 1 : 2;
  };
  return pool
    .map((part) => ({ part, rank: score(part) }))
    .filter(({ rank }) => rank < 2)
    .sort((a, b) => a.rank - b.rank)
    .map(({ part }) => ({
      kind: 'command' as const,
      insert: prefix + nameIn(part, locale),
      label: prefix + nameIn(part, locale),
      description: descriptionIn(part, locale),
      part,
    }));
}

/** The wire value of an option's typed text, or why it has none. */
export function readValue(
  option: Json,
  text: string,
  picked?: string | number,
): { value?: string | number | boolean; error?: string } {
  if (picked !== undefined) return { value: picked };
  if (option['choices']?.length) {
    const choice = option['choices'].find(
      (c: Json) => String(c['name']).toLowerCase() === text.toLowerCase() || String(c['value']) === text,
    );
    return choice ? { value: choice['value'] } : { error: 'Pick one of the choices.' };
  }
  if (option['type'] === 5) {
    if (/^(true|yes|on|1)$/i.test(text)) return { value: true };
    if (/^(false|no|off|0)$/i.test(text)) return { value: false };
    return { error: 'Input True or False.' };
  }
  if (option['type'] === 4 || option['type'] === 10) {
    const n = Number(text);
    return text === '' || Number.isNaN(n)
      ? { error: option['type'] === 4 ? 'Input an integer.' : 'Input a number.' }
      : { value: n };
  }
  return { value: text };
}
