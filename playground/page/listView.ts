import { html, nothing } from 'lit';
import { guard } from 'lit/directives/guard.js';
import { repeat } from 'lit/directives/repeat.js';
import { loadOlder, runCommand } from './actions.ts';
import * as icons from './icons.ts';
import { joins, message, pendingMessage } from './messageView.ts';
import { changed, channelId, commands, inDm, placeName, store, view } from './store.ts';
import type { PageMessage } from './types.ts';
import { locale, say } from './words.ts';

/** The channel's messages, drawn in a window around the scroll position, so that thousands stay smooth. */

const WINDOW = 120;
const STEP = 60;
/** Index of the first drawn message, by channel; undefined follows the newest. */
const from = new Map<string, number>();
let lastTop = 0;
let anchor: { id: string; top: number } | undefined;

/** In English for everybody: it is what models read. */
const PROMPTS = [
  'a panda in a meadow, spring',
  'a sunflower in the garden, oil painting',
  'a sailboat at sea, dawn',
];

function firstRun() {
  const imagine = commands().find((c) => c['name'] === 'imagine');
  return html`<section class="welcome" aria-label=${say('welcome', { channel: placeName() })}>
    <div class="welcome-icon">${inDm() ? icons.at() : icons.hash()}</div>
    <h2>${inDm() ? placeName() : say('welcome', { channel: placeName() })}</h2>
    <p>${say('welcomeText')}</p>
    ${
      imagine
        ? html`<h3>${say('tryOne')}</h3>
          <div class="prompts">${PROMPTS.map((p) => html`<button type="button" data-testid="first-prompt" @click=${() => void runCommand('imagine', { prompt: p })}><span class="command">/imagine</span> ${p}</button>`)}</div>`
        : nothing
    }
    <p class="faint">${say('tryMore')} ${say('guide')} ${store.guide ? html`<a href="/guide/prompt.md" target="_blank" rel="noopener">${say('memberGuide')}</a>` : nothing}</p>
  </section>`;
}

function day(m: PageMessage): string {
  return new Date(m.timestamp).toLocaleDateString(locale(), { dateStyle: 'long' });
}

/** The values that an item's drawing depends on; while they are equal it is not drawn again. */
function depends(m: PageMessage, joined: boolean): unknown[] {
  const mine = (set: Iterable<string>): string => [...set].filter((k) => k.startsWith(m.id)).join();
  return [
    m,
    joined,
    store.theme,
    locale(),
    store.notices.get(m.id),
    mine(store.busy),
    store.openSelect?.key.startsWith(m.id) ? `${store.openSelect.key}|${store.openSelect.search}` : '',
    mine([...store.selects].map(([key, values]) => `${key}|${values}`)),
  ];
}

function scroller(): HTMLElement | null {
  return document.querySelector('.scroller');
}

function onScroll(): void {
  const el = scroller();
  if (!el) return;
  const v = view();
  const start = start0();
  const end = Math.min(v.messages.length, start + WINDOW);
  const low = el.scrollHeight - el.scrollTop - el.clientHeight < 60 && end === v.messages.length;
  // Content that grows below does not count as scrolling away from the bottom; scrolling up does.
  const up = el.scrollTop < lastTop - 1;
  lastTop = el.scrollTop;
  if (store.atBottom && !low && !up) {
    settle();
    return;
  }
  store.atBottom = low;
  if (store.atBottom && v.unread && document.hasFocus()) {
    v.unread = 0;
    changed();
  }
  if (el.scrollTop < 400) {
    if (start > 0) shift(Math.max(0, start - STEP));
    else if (v.more) {
      const before = v.messages.length;
      keepPlace();
      void loadOlder().then(() => from.set(channelId(), Math.max(0, view().messages.length - before - STEP)));
    }
  } else if (el.scrollHeight - el.scrollTop - el.clientHeight < 400 && end < v.messages.length) {
    shift(end + STEP >= v.messages.length ? undefined : start + STEP);
  }
}

function start0(): number {
  const v = view();
  return Math.max(0, Math.min(from.get(channelId()) ?? v.messages.length, v.messages.length - WINDOW));
}

/** Remembers the position of the first visible message; `settle` restores it after the redraw. */
function keepPlace(): void {
  const el = scroller();
  const top = el?.getBoundingClientRect().top ?? 0;
  const first = [...(el?.querySelectorAll('[data-testid=message]') ?? [])].find(
    (m) => m.getBoundingClientRect().bottom > top,
  );
  anchor = first ? { id: first.id, top: first.getBoundingClientRect().top } : undefined;
}

function shift(to: number | undefined): void {
  keepPlace();
  if (to === undefined) from.delete(channelId());
  else from.set(channelId(), to);
  changed();
}

/** After each drawing: stays at the bottom, or restores the position of the visible message. */
export function settle(): void {
  const el = scroller();
  if (!el) return;
  if (store.atBottom) {
    el.scrollTop = el.scrollHeight;
    return;
  }
  const kept = anchor && document.getElementById(anchor.id);
  if (kept && anchor) el.scrollTop += kept.getBoundingClientRect().top - anchor.top;
  anchor = undefined;
}

export function toPresent(): void {
  from.delete(channelId());
  store.atBottom = true;
  view().unread = 0;
  changed();
}

/** Keeps the bottom in view when fonts and late content change heights; pictures have their space reserved. */
export function watchSize(): void {
  const el = document.querySelector('.scroller > ol');
  if (el) new ResizeObserver(() => store.atBottom && settle()).observe(el);
}

export function list() {
  const v = view();
  if (from.has(channelId()) && store.atBottom) from.delete(channelId());
  const start = start0();
  const shown = v.messages.slice(start, start + WINDOW);
  const pending = store.pending.filter((p) => p.channelId === channelId());
  const atEnd = start + WINDOW >= v.messages.length;
  const unreadFrom = v.unread ? v.messages.at(-v.unread)?.id : undefined;
  return html`<div class="scroller" tabindex="0" role="region" aria-label=${inDm() ? placeName() : `#${placeName()}`} @scroll=${onScroll}>
    ${start === 0 && !v.more && v.messages.length === 0 && pending.length === 0 && store.connected ? firstRun() : nothing}
    ${v.loading ? html`<p class="faint loading">…</p>` : nothing}
    <ol class="messages" aria-live="off">
      ${repeat(
        shown,
        (m) => m.id,
        (m, i) => {
          const above = i > 0 ? shown[i - 1] : v.messages[start - 1];
          const newDay = !above || day(above) !== day(m);
          const joined = !newDay && m.id !== unreadFrom && joins(m, above);
          return html`${newDay ? html`<li class="divider"><span>${day(m)}</span></li>` : nothing}
            ${m.id === unreadFrom ? html`<li class="divider unread" data-testid="unread"><span>${say('newMessages')}</span></li>` : nothing}
            ${guard(depends(m, joined), () => message(m, joined))}`;
        },
      )}
      ${atEnd ? pending.map(pendingMessage) : nothing}
    </ol>
  </div>
  ${!store.atBottom && (v.unread || !atEnd) ? html`<button type="button" class="present" @click=${toPresent}>${v.unread ? `${v.unread} · ${say('newMessages')}` : say('jumpPresent')} ${icons.down()}</button>` : nothing}
  <div class="sr-only" role="log" aria-live="polite">${lastWords(v.messages.at(-1))}</div>`;
}

function lastWords(m: PageMessage | undefined): string {
  // Announces the author only: the message is one step away, and every progress edit would be read out.
  return m ? `${say('newMessages')}: ${m.author.global_name ?? m.author.username}` : '';
}
