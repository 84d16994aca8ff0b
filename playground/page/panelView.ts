import { html, nothing } from 'lit';
import * as icons from './icons.ts';
import { recipe } from './recipeView.ts';
import { changed, nameOf, store } from './store.ts';
import type { Json } from './types.ts';
import { ask, Refused, watch } from './wire.ts';
import { say, type Word } from './words.ts';
import { underneath } from './workerHealthView.ts';

/** The panel: queue, worker, recipe, interactions, the requests as Discord received them, and switches for faults. */

export function togglePanel(): void {
  store.panel.open = !store.panel.open;
  void watch(store.panel.open).catch(() => {});
  changed();
}

const SWITCHES: [string, Word, number][] = [
  ['429', 'trouble429', 3],
  ['500', 'trouble500', 2],
  ['slow', 'troubleSlow', 1],
  ['lost-answer', 'troubleLost', 1],
  ['reset', 'troubleReset', 1],
  ['drop', 'troubleDrop', 1],
];

async function trouble(kind: string, times: number): Promise<void> {
  store.panel.refused = undefined;
  try {
    store.panel.troubles = (await ask('trouble', { kind, times }))['troubles'];
  } catch (error) {
    store.panel.refused = error instanceof Refused ? error.message : String(error);
  }
  changed();
}

function switches() {
  const p = store.panel;
  return html`<div class="switches" role="group" aria-label=${say('trouble')}>
    ${SWITCHES.map(([kind, word, times]) => html`<button type="button" class="option-chip" @click=${() => void trouble(kind, times)}>${say(word)}</button>`)}
    ${store.mayKill ? html`<button type="button" class="option-chip kill" data-testid="kill-worker" @click=${() => void trouble('kill-worker', 1)}>${say('troubleKill')}</button>` : nothing}
    ${p.troubles.length ? html`<button type="button" class="option-chip needed" @click=${() => void trouble('clear', 0)}>${say('troubleClear', { n: String(p.troubles.length) })}</button>` : nothing}
  </div>
  ${p.refused ? html`<p class="error" role="alert">${p.refused}</p>` : nothing}`;
}

const ANSWERS: Record<number, Word> = {
  4: 'answerReply',
  5: 'answerDefer',
  6: 'answerLater',
  7: 'answerUpdate',
  8: 'answerChoices',
  9: 'answerForm',
};

function interaction(i: Json) {
  const how =
    i['state'] === 'waiting'
      ? say('stateWaiting')
      : i['state'] === 'failed'
        ? say('stateFailed')
        : say(ANSWERS[i['callbackType']] ?? 'answerReply');
  return html`<li><b>${i['type'] === 2 ? `/${i['name']}` : i['name']}</b> <span class="faint">${nameOf(i['userId'])}</span>
    <span class="grow"></span><span class=${i['state'] === 'failed' ? 'bad' : ''}>${how}</span>${i['state'] === 'waiting' ? nothing : html` <span class="ms">${i['ms']} ms</span>`}</li>`;
}

/** A path with tokens and ids shortened, because they are long and say nothing. */
const short = (path: string): string =>
  path
    .replace(/\/([A-Za-z0-9_-]{40,})/g, (_, t: string) => `/${t.slice(0, 6)}…`)
    .replace(/\d{17,19}/g, (id) => `…${id.slice(-4)}`);

function request(r: Json, i: number) {
  const open = store.panel.picked === i;
  const bad = r['status'] === 0 || r['status'] >= 400;
  return html`<li><button type="button" class="request" aria-expanded=${open ? 'true' : 'false'} @click=${() => {
    store.panel.picked = open ? undefined : i;
    changed();
  }}><span class="status ${bad ? 'bad' : ''}">${r['status'] || '—'}</span> <span class="verb">${r['method']}</span> <span class="path">${short(r['path'])}</span><span class="ms">${Math.round(r['ms'])} ms</span></button>
    ${open ? html`<pre class="request-body">${JSON.stringify({ body: r['body'], files: r['files'], answer: r['answer'] }, null, 1).slice(0, 8000)}</pre>` : nothing}</li>`;
}

const section = (title: string, inside: unknown) =>
  html`<section class="panel-part"><h3>${title}</h3>${inside}</section>`;

export function panel() {
  const p = store.panel;
  if (!p.open) return nothing;
  return html`<aside class="panel" aria-label=${say('hood')} data-testid="panel">
    <header><h2>${say('hood')}</h2><button type="button" class="ghost" aria-label=${say('close')} @click=${togglePanel}>${icons.close()}</button></header>
    <div class="panel-body" tabindex="0" role="region" aria-label=${say('hood')}>
    ${section(say('now'), underneath())}
    ${section(say('trouble'), switches())}
    ${section(say('recipe'), recipe())}
    ${section(say('interactions'), html`<ol class="interactions" data-testid="interactions">${p.interactions.map(interaction).reverse()}</ol>`)}
    ${section(
      say('requests'),
      html`<p class="faint">${say('violations', { n: String(p.violations) })}</p>
      <ol class="requests" data-testid="requests" aria-label=${say('requests')}>${p.requests.map(request).reverse()}</ol>`,
    )}
    </div>
  </aside>`;
}
