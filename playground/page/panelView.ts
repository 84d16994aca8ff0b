import { html, nothing } from 'lit';
import * as icons from './icons.ts';
import { changed, store } from './store.ts';
import type { Json } from './types.ts';
import { ask, watch } from './wire.ts';
import { say } from './words.ts';

/** Under the hood: the requests as Discord saw them, and switches for trouble. */

export function togglePanel(): void {
  store.panel.open = !store.panel.open;
  void watch(store.panel.open).catch(() => {});
  changed();
}

const SWITCHES: [string, string, number][] = [
  ['429', '429 on the next 3', 3],
  ['500', '500 on the next 2', 2],
  ['slow', 'Slow answer', 1],
  ['lost-answer', 'Lost answer', 1],
  ['reset', 'Cut the connection', 1],
  ['drop', 'Drop the gateway', 1],
];

async function trouble(kind: string, times: number): Promise<void> {
  const answer = await ask('trouble', { kind, times });
  store.panel.troubles = answer['troubles'];
  changed();
}

/** Tokens are long and say nothing: shortened, as are the ids of the path. */
const short = (path: string): string =>
  path
    .replace(/\/([A-Za-z0-9_-]{40,})/g, (_, t: string) => `/${t.slice(0, 6)}…`)
    .replace(/\d{17,19}/g, (id) => `…${id.slice(-4)}`);

function row(r: Json, i: number) {
  const open = store.panel.picked === i;
  const bad = r['status'] === 0 || r['status'] >= 400;
  return html`<li><button type="button" class="request" aria-expanded=${open ? 'true' : 'false'} @click=${() => {
    store.panel.picked = open ? undefined : i;
    changed();
  }}><span class="status ${bad ? 'bad' : ''}">${r['status'] || '—'}</span> <span class="verb">${r['method']}</span> <span class="path">${short(r['path'])}</span><span class="ms">${Math.round(r['ms'])} ms</span></button>
    ${open ? html`<pre class="request-body">${JSON.stringify({ body: r['body'], files: r['files'], answer: r['answer'] }, null, 1).slice(0, 8000)}</pre>` : nothing}</li>`;
}

export function panel() {
  const p = store.panel;
  if (!p.open) return nothing;
  return html`<aside class="panel" aria-label=${say('hood')} data-testid="panel">
    <header><h2>${say('hood')}</h2><button type="button" class="ghost" aria-label=${say('close')} @click=${togglePanel}>${icons.close()}</button></header>
    <p class="faint">Bot ${store.online ? 'online' : 'offline'} · ${p.violations} requests against the rules</p>
    <div class="switches" role="group" aria-label="Trouble">${SWITCHES.map(([kind, label, times]) => html`<button type="button" class="option-chip" @click=${() => void trouble(kind, times)}>${label}</button>`)}
      ${p.troubles.length ? html`<button type="button" class="option-chip needed" @click=${() => void trouble('clear', 0)}>Clear ${p.troubles.length}</button>` : nothing}</div>
    <ol class="requests" data-testid="requests" tabindex="0" aria-label="Requests">${[...p.requests].map((r, i) => row(r, i)).reverse()}</ol>
  </aside>`;
}
