import { html, nothing } from 'lit';
import { emoji } from './emojiView.ts';
import { store } from './store.ts';
import { locale, say } from './words.ts';

/** The queue, the worker and its pace; before the worker can paint, how far its model is loaded. */

const number = (value: number, digits: number): string =>
  value.toLocaleString(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits });

interface Loading {
  model: string;
  part: string;
  done: number;
  of: number;
}

/** The worker's message, `loading the model "pocket": unet (1 of 5)`, as part, place and count. */
function loadingOf(problem: string): Loading | undefined {
  const found = /^loading the model "([^"]+)"(?:: (\S+) \((\d+) of (\d+)\))?/.exec(problem);
  if (!found) return undefined;
  return { model: found[1]!, part: found[2] ?? '', done: Number(found[3] ?? 0), of: Number(found[4] ?? 0) };
}

/** A line over the command line as long as no worker can paint. */
export function workerNote() {
  const state = store.underneath;
  if (!state || state.worker === '' || !store.connected) return nothing;
  const loading = loadingOf(state.worker ?? '');
  if (!loading)
    return html`<p class="bar-note" role="status" data-testid="worker-note">${say(state.worker === undefined || state.worker === null ? 'workerStarts' : 'workerAway', { why: state.worker ?? '' })}</p>`;
  const percent = loading.of ? Math.round((100 * loading.done) / loading.of) : 0;
  return html`<p class="bar-note" role="status" data-testid="worker-note">
    ${say('modelLoads', { model: loading.model, part: loading.part })}
    <progress max="100" value=${percent} aria-label=${say('modelLoads', { model: loading.model, part: '' })}></progress> ${percent} %</p>`;
}

const LANES = { turbo: '🚀', fast: '⚡', relax: '🌙' } as Record<string, string>;

const health = (name: string, problem: string | null | undefined) =>
  html`<li><span class="dot ${problem === '' ? 'on' : ''}"></span>${name}: ${problem === '' ? say('healthy') : problem || say('noAnswer')}</li>`;

export function underneath() {
  const s = store.underneath;
  if (!s) return html`<p class="faint">${say('notWatched')}</p>`;
  return html`<ul class="health" data-testid="health">${health('Bot', s.bot)}${health('Worker', s.worker)}</ul>
    <dl class="facts" data-testid="pace">
      ${s.stepsPerSecond === undefined ? nothing : html`<dt>${say('pace')}</dt><dd>${say('stepsPerSecond', { n: number(s.stepsPerSecond, 1) })}</dd>`}
      ${s.paintSeconds === undefined ? nothing : html`<dt>${say('perJob')}</dt><dd>${say('seconds', { n: number(s.paintSeconds, 1) })}</dd>`}
      <dt>${say('painted')}</dt><dd>${s.painted}</dd>
      ${s.posting === undefined ? nothing : html`<dt>${say('posting')}</dt><dd>${s.posting}</dd>`}
    </dl>
    <table class="lanes" data-testid="lanes"><caption>${say('queue')}</caption>
      <thead><tr><th scope="col">${say('lane')}</th><th scope="col">${say('waiting')}</th><th scope="col">${say('running')}</th></tr></thead>
      <tbody>${s.lanes.map((l) => html`<tr data-lane=${l.lane} class=${l.running ? 'now' : ''}><th scope="row"><span aria-hidden="true">${LANES[l.lane] ? emoji(LANES[l.lane]!) : ''}</span> ${l.lane}</th><td>${l.waiting}</td><td>${l.running}</td></tr>`)}</tbody>
    </table>`;
}
