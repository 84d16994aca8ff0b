import { html, nothing, type TemplateResult } from 'lit';
import { EMOJI, emoji } from './emojiView.ts';
import { nameOf, store } from './store.ts';

/**
 * Discord's markdown as lit templates. All text goes in as text nodes, so nothing that was typed can become markup.
 * Blocks first (code, quotes, headings, lists), then spans inside one line of text.
 */

type Piece = TemplateResult | string;

export interface MarkdownOptions {
  /** Links with their own text, which Discord allows in embeds and in messages of bots. */
  links?: boolean;
  inline?: boolean;
}

interface Rule {
  match: RegExp;
  make(m: RegExpExecArray, options: MarkdownOptions): Piece | undefined;
}

const inner = (text: string, options: MarkdownOptions): Piece[] => spans(text, options);

function safeLink(url: string): string | undefined {
  try {
    const parsed = new URL(url);
    return ['http:', 'https:'].includes(parsed.protocol) ? parsed.href : undefined;
  } catch {
    return undefined;
  }
}

const link = (url: string, body: Piece[] | string): Piece | undefined => {
  const href = safeLink(url);
  return href && html`<a href=${href} target="_blank" rel="noopener noreferrer nofollow">${body}</a>`;
};

const mention = (body: string, kind: 'user' | 'channel' | 'role' | 'slash' = 'user'): Piece =>
  html`<discord-mention type=${kind} ?light-theme=${store.theme === 'light'}>${body}</discord-mention>`;

function timestamp(seconds: number, style: string): string {
  const date = new Date(seconds * 1000);
  const locale = store.users.get(store.me)?.locale ?? 'en-US';
  const forms: Record<string, Intl.DateTimeFormatOptions> = {
    t: { timeStyle: 'short' },
    T: { timeStyle: 'medium' },
    d: { dateStyle: 'short' },
    D: { dateStyle: 'long' },
    F: { dateStyle: 'full', timeStyle: 'short' },
  };
  if (style === 'R') {
    const gap = (date.getTime() - Date.now()) / 1000;
    const units: [Intl.RelativeTimeFormatUnit, number][] = [
      ['year', 31536000],
      ['month', 2592000],
      ['day', 86400],
      ['hour', 3600],
      ['minute', 60],
      ['second', 1],
    ];
    const [unit, size] = units.find(([, s]) => Math.abs(gap) >= s) ?? ['second', 1];
    return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(Math.round(gap / size), unit);
  }
  return new Intl.DateTimeFormat(locale, forms[style] ?? { dateStyle: 'long', timeStyle: 'short' }).format(
    date,
  );
}

/** Tried in this order at each place of the text. */
const RULES: Rule[] = [
  { match: EMOJI, make: (m) => emoji(m[0]) },
  { match: /^\\([^0-9A-Za-z\s])/, make: (m) => m[1]! },
  {
    match: /^(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/,
    make: (m) => html`<code>${m[2]!.replace(/^ (?=`)|(?<=`) $/g, '')}</code>`,
  },
  { match: /^<@!?(\d{15,20})>/, make: (m) => mention(nameOf(m[1]!)) },
  {
    match: /^<@&(\d{15,20})>/,
    make: (m) => mention(store.roles.find((r) => r.id === m[1])?.name ?? 'unknown-role', 'role'),
  },
  {
    match: /^<#(\d{15,20})>/,
    make: (m) => mention(store.channelNames[m[1]!] ?? 'unknown', 'channel'),
  },
  { match: /^<\/([-_\p{L}\p{N} ]{1,100}):(\d{15,20})>/u, make: (m) => mention(m[1]!, 'slash') },
  {
    match: /^<t:(-?\d{1,13})(?::([tTdDfFR]))?>/,
    make: (m) => html`<span class="md-time">${timestamp(Number(m[1]), m[2] ?? 'f')}</span>`,
  },
  { match: /^<a?:(\w{2,32}):(\d{15,20})>/, make: (m) => `:${m[1]}:` },
  {
    match: /^@(everyone|here)\b/,
    make: (m) =>
      html`<discord-mention type="role" ?light-theme=${store.theme === 'light'}>${m[1]}</discord-mention>`,
  },
  { match: /^<(https?:\/\/[^\s<>]+)>/, make: (m) => link(m[1]!, m[1]!) },
  {
    match: /^\[((?:[^[\]\\]|\\.)+)\]\(<?(https?:\/\/[^\s<>)]+)>?(?: "[^"]*")?\)/,
    make: (m, o) => (o.links ? link(m[2]!, inner(m[1]!, o)) : undefined),
  },
  { match: /^https?:\/\/[^\s<]+[^\s<.,:;"')\]}*_~|`]/, make: (m) => link(m[0], m[0]) },
  {
    match: /^\*\*\*((?:\\[\s\S]|[^\\])+?)\*\*\*(?!\*)/,
    make: (m, o) => html`<strong><em>${inner(m[1]!, o)}</em></strong>`,
  },
  {
    match: /^\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)/,
    make: (m, o) => html`<strong>${inner(m[1]!, o)}</strong>`,
  },
  { match: /^__((?:\\[\s\S]|[^\\])+?)__(?!_)/, make: (m, o) => html`<u>${inner(m[1]!, o)}</u>` },
  {
    match: /^\*(?!\s)((?:\\[\s\S]|\*\*[^*]+?\*\*|[^\\*])+?)(?<!\s)\*(?!\*)/,
    make: (m, o) => html`<em>${inner(m[1]!, o)}</em>`,
  },
  {
    match: /^_((?:\\[\s\S]|__[^_]+?__|[^\\_])+?)_(?![\p{L}\p{N}_])/u,
    make: (m, o) => html`<em>${inner(m[1]!, o)}</em>`,
  },
  { match: /^~~((?:\\[\s\S]|[^\\])+?)~~(?!~)/, make: (m, o) => html`<s>${inner(m[1]!, o)}</s>` },
  {
    match: /^\|\|((?:\\[\s\S]|[^\\])+?)\|\|/,
    make: (m, o) =>
      html`<discord-spoiler role="button" tabindex="0" ?light-theme=${store.theme === 'light'}>${inner(m[1]!, o)}</discord-spoiler>`,
  },
];

const SPECIAL = /[\\`<@[h*_~|]|\p{Extended_Pictographic}|\p{Regional_Indicator}|[0-9#](?=\uFE0F?\u20E3)/gu;

function spans(text: string, options: MarkdownOptions): Piece[] {
  const out: Piece[] = [];
  let plain = '';
  let at = 0;
  let before = '';
  while (at < text.length) {
    const rest = text.slice(at);
    // `_` inside a word is no emphasis.
    const inWord = text[at] === '_' && /[\p{L}\p{N}]/u.test(before);
    let hit: { size: number; piece: Piece } | undefined;
    if (!inWord)
      for (const rule of RULES) {
        const m = rule.match.exec(rest);
        const piece = m && rule.make(m, options);
        if (m && piece !== undefined && piece !== null) {
          hit = { size: m[0].length, piece };
          break;
        }
      }
    if (hit) {
      if (typeof hit.piece === 'string') plain += hit.piece;
      else {
        if (plain) out.push(plain);
        plain = '';
        out.push(hit.piece);
      }
      before = text[at + hit.size - 1] ?? '';
      at += hit.size;
      continue;
    }
    SPECIAL.lastIndex = at + (text.codePointAt(at)! > 0xffff ? 2 : 1);
    const next = SPECIAL.exec(text)?.index ?? text.length;
    plain += text.slice(at, next);
    before = text[next - 1] ?? '';
    at = next;
  }
  if (plain) out.push(plain);
  return out;
}

function listBlock(lines: string[], options: MarkdownOptions): TemplateResult {
  const ordered = /^\s*\d+\. /.test(lines[0]!);
  const items = lines.map((l) => {
    const m = /^(\s*)(?:[-*]|\d+\.) (.*)$/.exec(l)!;
    return html`<li class=${m[1]!.length >= 2 ? 'deep' : ''}>${spans(m[2]!, options)}</li>`;
  });
  return ordered
    ? html`<ol start=${Number.parseInt(lines[0]!, 10) || 1}>${items}</ol>`
    : html`<ul>${items}</ul>`;
}

const HEAD = /^(#{1,3}) +(.+)$/;
const ITEM = /^\s*(?:[-*]|\d+\.) +\S/;

function lineBlocks(text: string, options: MarkdownOptions): Piece[] {
  const lines = text.split('\n');
  const out: Piece[] = [];
  let i = 0;
  // A line break stands between two lines of text, and not beside a block.
  let open = false;
  while (i < lines.length) {
    const line = lines[i]!;
    const head = HEAD.exec(line);
    const small = /^-# +(\S.*)$/.exec(line);
    if (/^>>> /.test(line)) {
      const body = [line.slice(4), ...lines.slice(i + 1)].join('\n');
      out.push(html`<blockquote>${lineBlocks(body, options)}</blockquote>`);
      break;
    }
    if (/^> /.test(line)) {
      const quoted: string[] = [];
      while (i < lines.length && /^> /.test(lines[i]!)) quoted.push(lines[i++]!.slice(2));
      out.push(html`<blockquote>${lineBlocks(quoted.join('\n'), options)}</blockquote>`);
      open = false;
      continue;
    }
    if (head) {
      out.push(
        html`<div class="md-h${head[1]!.length}" role="heading" aria-level=${head[1]!.length + 3}>${spans(head[2]!, options)}</div>`,
      );
      open = false;
    } else if (small) {
      out.push(html`<div class="md-small">${spans(small[1]!, options)}</div>`);
      open = false;
    } else if (ITEM.test(line)) {
      const items: string[] = [];
      while (i < lines.length && ITEM.test(lines[i]!)) items.push(lines[i++]!);
      out.push(listBlock(items, options));
      open = false;
      continue;
    } else {
      if (open) out.push('\n');
      // Emphasis may run over line ends: take all plain lines together.
      const plain: string[] = [];
      while (
        i < lines.length &&
        !HEAD.test(lines[i]!) &&
        !/^(> |>>> |-# +\S)/.test(lines[i]!) &&
        !ITEM.test(lines[i]!)
      )
        plain.push(lines[i++]!);
      out.push(...spans(plain.join('\n'), options));
      open = true;
      continue;
    }
    i++;
  }
  return out;
}

const FENCE = /```(?:([\w+-]+)\n)?\n?([\s\S]*?)\n?```/g;

export function markdown(text: string, options: MarkdownOptions = { links: true }): Piece[] | typeof nothing {
  if (!text) return nothing;
  if (options.inline) return spans(text, options);
  const out: Piece[] = [];
  let at = 0;
  for (const m of text.matchAll(FENCE)) {
    if (!m[2]) continue;
    if (m.index > at) out.push(...lineBlocks(text.slice(at, m.index).replace(/\n$/, ''), options));
    out.push(html`<pre><code>${m[2]}</code></pre>`);
    at = m.index + m[0].length;
    if (text[at] === '\n') at++;
  }
  if (at < text.length) out.push(...lineBlocks(text.slice(at), options));
  return out;
}

/** Only emoji, at most 30: Discord draws them large. */
export function onlyEmoji(text: string): boolean {
  if (text.length > 150) return false;
  const emoji = text.replace(/\p{Extended_Pictographic}|\p{Regional_Indicator}{2}/gu, '');
  const joints = /^(?:\uFE0F|\u200D|\p{Emoji_Modifier}|\s)*$/u;
  return emoji !== text && joints.test(emoji);
}
