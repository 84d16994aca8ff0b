import { runCommand } from './actions.ts';
import {
  descriptionIn,
  nameIn,
  readCommand,
  readValue,
  type Suggestion,
  suggestCommands,
  type Typed,
} from './commandLine.ts';
import { changed, channelId, commands, store } from './store.ts';
import type { Json } from './types.ts';
import { ask, Refused, upload } from './wire.ts';
import { locale, say } from './words.ts';

/** The state of the command line and what its keys do. */
export const composer = {
  text: '',
  caret: 0,
  active: 0,
  /** True once the arrow keys moved the mark: Enter then takes the marked line. */
  moved: false,
  dismissed: false,
  files: new Map<string, File>(),
  /** Values chosen from a list: the shown text by option, and its wire value. */
  picked: new Map<string, { text: string; value: string | number }>(),
  error: undefined as { text: string; option?: string | undefined } | undefined,
  choices: { key: '', list: [] as Json[], loading: false },
};

const AUTOCOMPLETE_WAIT_MS = 120;
const people = (): Json[] => [...store.users.values()].map((u) => ({ name: u.name, value: u.id }));
const roles = (): Json[] => store.roles.map((r) => ({ name: r.name, value: r.id }));
const SMALL_LISTS: Record<number, () => Json[]> = {
  5: () => [
    { name: 'True', value: 'true' },
    { name: 'False', value: 'false' },
  ],
  6: people,
  7: () => Object.entries(store.channelNames).map(([value, name]) => ({ name, value })),
  8: roles,
  9: () => [...people(), ...roles()],
};

export function typed(): Typed | undefined {
  return readCommand(composer.text, composer.caret, commands(), locale());
}

function choicesOf(option: Json, text: string): Json[] {
  if (option['autocomplete']) {
    const { list, loading } = composer.choices;
    // Until the bot has answered, only still matching choices of its last answer: Tab must not take a stale one.
    return loading ? list.filter((c) => String(c['name']).toLowerCase().includes(text.toLowerCase())) : list;
  }
  const all: Json[] = option['choices'] ?? SMALL_LISTS[option['type'] as number]?.() ?? [];
  const wanted = text.toLowerCase();
  const label = (c: Json): string => String(c['name_localizations']?.[locale()] ?? c['name']).toLowerCase();
  const exact = all.filter((c) => label(c) === wanted);
  return exact.length ? exact : all.filter((c) => label(c).includes(wanted));
}

export function suggestions(): Suggestion[] {
  if (composer.dismissed || !composer.text.startsWith('/')) return [];
  const t = typed();
  if (!t) return suggestCommands(composer.text, commands(), locale());
  if (composer.caret <= t.headEnd && composer.text.length === t.headEnd)
    return suggestCommands(composer.text, commands(), locale());
  const option = t.options.find((o) => o['name'] === t.current);
  if (!option) return [];
  return choicesOf(option, t.values[option['name']] ?? '').map((c) => {
    const label = String(c['name_localizations']?.[locale()] ?? c['name']);
    return { kind: 'choice', insert: label, label, description: '', part: option, value: c['value'] };
  });
}

/** Options that are not filled in yet, the required ones first. */
export function openOptions(t: Typed): Json[] {
  const free = t.options.filter((o) => t.values[o['name']] === undefined && !composer.files.has(o['name']));
  return [...free.filter((o) => o['required']), ...free.filter((o) => !o['required'])];
}

export function setText(text: string, caret = text.length): void {
  const before = composer.text;
  composer.text = text;
  composer.caret = caret;
  composer.active = 0;
  composer.moved = false;
  composer.error = undefined;
  if (text !== before) composer.dismissed = false;
  if (text === '') reset();
  fetchChoices();
  changed();
}

function reset(): void {
  composer.text = '';
  composer.caret = 0;
  composer.files.clear();
  composer.picked.clear();
  composer.choices = { key: '', list: [], loading: false };
}

let timer: number | undefined;
function fetchChoices(): void {
  const t = typed();
  const option = t?.options.find((o) => o['name'] === t.current);
  if (!t || !option?.['autocomplete']) {
    composer.choices = { key: '', list: [], loading: false };
    return;
  }
  const key = `${t.path}|${option['name']}|${t.values[option['name']] ?? ''}`;
  if (composer.choices.key === key) return;
  composer.choices = { key, list: composer.choices.list, loading: true };
  clearTimeout(timer);
  timer = window.setTimeout(async () => {
    const values = { ...t.values, [option['name']]: t.values[option['name']] ?? '' };
    const result = await ask('autocomplete', {
      command: t.path,
      focused: option['name'],
      options: values,
      channelId: channelId(),
    }).catch(() => ({}) as Json);
    if (composer.choices.key !== key) return;
    composer.choices = { key, list: result['choices'] ?? [], loading: false };
    changed();
  }, AUTOCOMPLETE_WAIT_MS);
}

/** Puts the caret into an option, adding its label where missing. */
export function enterOption(option: Json): void {
  const t = typed();
  if (!t) return;
  if (option['type'] === 11) {
    document.querySelector<HTMLInputElement>(`input[data-file="${CSS.escape(option['name'])}"]`)?.click();
    return;
  }
  const label = `${nameIn(option, locale())}: `;
  const head = composer.text.slice(0, t.headEnd);
  // Free text becomes a named option, so that the next label is not part of it.
  const named = t.spans.map(
    (s) =>
      `${nameIn(t.options.find((o) => o['name'] === s.name)!, locale())}: ${composer.text.slice(s.start, s.end).trim()}`,
  );
  setText([head, ...named, label].join(' '));
  focus();
}

/** Focuses at once, not with the next drawing: the next key may be pressed before it. */
export function focus(): void {
  const el = document.querySelector<HTMLTextAreaElement>('[data-testid=composer]');
  if (!el) return;
  if (el.value !== composer.text) el.value = composer.text;
  el.focus();
  el.setSelectionRange(composer.caret, composer.caret);
}

export function take(s: Suggestion): void {
  if (s.kind === 'command') {
    setText(`${s.insert} `);
    const t = typed();
    const first = t && openOptions(t).find((o) => o['required'] && o['type'] !== 11);
    if (t && first) setText(`${s.insert} ${nameIn(first, locale())}: `);
  } else {
    const t = typed();
    const span = t?.spans.find((x) => x.name === s.part['name']);
    composer.picked.set(s.part['name'], { text: s.label, value: s.value as string | number });
    if (span) {
      const tail = composer.text.slice(span.end);
      const before = composer.text.slice(0, span.start);
      const named = before.endsWith(':');
      const upTo = `${before}${named ? ' ' : ''}${s.label}${tail ? ' ' : ''}`;
      setText(upTo + tail, upTo.trimEnd().length);
    } else setText(`${composer.text.trimEnd()} ${s.label}`);
  }
  focus();
}

function exactCommand(list: Suggestion[]): boolean {
  const t = typed();
  const marked = list[composer.active];
  return (
    t !== undefined &&
    marked?.kind === 'command' &&
    !composer.moved &&
    composer.text === marked.insert &&
    !t.options.some((o) => o['required'])
  );
}

function exactChoice(s: Suggestion): boolean {
  const t = typed();
  return (t?.values[s.part['name']] ?? '').toLowerCase() === s.label.toLowerCase();
}

export function onKey(e: KeyboardEvent): void {
  if (e.isComposing) return;
  const list = suggestions();
  const marked = list[composer.active];
  if (e.key === 'Escape') {
    if (list.length) composer.dismissed = true;
    else if (store.replyTo) store.replyTo = undefined;
    else setText('');
    e.preventDefault();
    changed();
  } else if ((e.key === 'ArrowDown' || e.key === 'ArrowUp') && list.length) {
    composer.active = (composer.active + (e.key === 'ArrowDown' ? 1 : list.length - 1)) % list.length;
    composer.moved = true;
    e.preventDefault();
    changed();
    requestAnimationFrame(() =>
      document
        .querySelector('[data-testid=picker-option][aria-selected=true]')
        ?.scrollIntoView({ block: 'nearest' }),
    );
  } else if (e.key === 'Tab' && !e.shiftKey && composer.text.startsWith('/')) {
    const t = typed();
    const next = t && openOptions(t)[0];
    if (marked && !(marked.kind === 'choice' && exactChoice(marked))) take(marked);
    else if (next) enterOption(next);
    else return;
    e.preventDefault();
  } else if (e.key === 'Enter' && !e.shiftKey) {
    e.preventDefault();
    const pickFirst =
      marked?.kind === 'command' ? !exactCommand(list) : marked && !exactChoice(marked) && mustPick(marked);
    if (marked && pickFirst) take(marked);
    else void send();
  }
}

/** Whether only listed choices are allowed; where the bot merely suggests, free text is, too. */
function mustPick(s: Suggestion): boolean {
  return composer.moved || !s.part['autocomplete'];
}

function refusal(error: unknown): { text: string; option?: string | undefined } {
  return error instanceof Refused ? { text: error.message, option: error.option } : { text: String(error) };
}

export async function send(): Promise<void> {
  const { text } = composer;
  if (!text.trim() && composer.files.size === 0) return;
  if (!text.startsWith('/')) {
    const { replyTo } = store;
    const place = channelId();
    // Emptied at once: a second Enter before the answer would send it twice.
    store.replyTo = undefined;
    setText('');
    try {
      await ask('say', { content: text, channelId: place, ...(replyTo ? { replyTo } : {}) });
    } catch (error) {
      if (composer.text === '' && channelId() === place) {
        store.replyTo = replyTo;
        setText(text);
      }
      composer.error = refusal(error);
      changed();
    }
    return;
  }
  const t = readCommand(text, text.length, commands(), locale());
  if (!t) {
    composer.error = { text: say('noChoices') };
    changed();
    return;
  }
  const options: Json = {};
  for (const span of t.spans) {
    const option = t.options.find((o) => o['name'] === span.name)!;
    const raw = t.values[span.name] ?? '';
    if (raw === '' && !option['required']) continue;
    const known = composer.picked.get(span.name);
    const listed = SMALL_LISTS[option['type'] as number]?.().find(
      (c) => String(c['name']).toLowerCase() === raw.toLowerCase().replace(/^[@#]/, ''),
    );
    const choice =
      known?.text === raw
        ? known.value
        : option['type'] !== 5
          ? (listed?.['value'] as string | undefined)
          : undefined;
    const read = readValue(option, raw, choice);
    if (read.error && raw !== '') {
      composer.error = { text: read.error, option: span.name };
      changed();
      return;
    }
    options[span.name] = read.value;
  }
  const missing = t.options.find(
    (o) =>
      o['required'] &&
      (options[o['name']] === undefined || options[o['name']] === '') &&
      !composer.files.has(o['name']),
  );
  if (missing) {
    if (missing['type'] !== 11 && t.values[missing['name']] === undefined) enterOption(missing);
    composer.error = { text: say('required'), option: missing['name'] };
    changed();
    return;
  }
  if (t.spans.length === 0 && text.slice(t.headEnd).trim() !== '') {
    composer.error = { text: `/${t.path}: ${say('noChoices')}` };
    changed();
    return;
  }
  const keep = { text, files: new Map(composer.files), picked: new Map(composer.picked) };
  setText('');
  try {
    for (const [name, file] of keep.files) options[name] = { upload: await upload(file) };
    await runCommand(t.path, options);
  } catch (error) {
    if (composer.text === '') {
      setText(keep.text);
      composer.files = keep.files;
      composer.picked = keep.picked;
    }
    composer.error = refusal(error);
    changed();
  }
}

/** A pasted or dropped file goes to the first free file option of the command. */
export function addFiles(files: File[]): void {
  const t = typed();
  const free = t?.options.filter((o) => o['type'] === 11 && !composer.files.has(o['name'])) ?? [];
  if (!free.length) {
    composer.error = {
      text: t ? `/${t.path} takes no more files.` : 'Type a command that takes a file first.',
    };
    changed();
    return;
  }
  files.slice(0, free.length).forEach((file, i) => {
    composer.files.set(free[i]!['name'], file);
  });
  composer.error = undefined;
  changed();
}

export { descriptionIn, nameIn };
