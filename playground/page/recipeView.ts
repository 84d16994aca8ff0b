import { html, nothing, type TemplateResult } from 'lit';
import { recipeIn } from './recipeFile.ts';
import { changed, store } from './store.ts';
import type { Json } from './types.ts';
import { say } from './words.ts';

/** Reads the recipe of the picture that was clicked last, out of its file. */
export async function readRecipe(url: string): Promise<void> {
  store.panel.recipe = { url, recipe: undefined };
  const answer = await fetch(url).catch(() => undefined);
  const recipe = answer?.ok ? recipeIn(new Uint8Array(await answer.arrayBuffer())) : undefined;
  if (store.panel.recipe?.url !== url) return;
  store.panel.recipe = { url, recipe };
  changed();
}

const row = (name: string, value: unknown) =>
  value === undefined || value === '' ? nothing : html`<dt>${name}</dt><dd>${value}</dd>`;

function facts(r: Json): TemplateResult {
  const image = r['image'] as Json | undefined;
  return html`<dl class="facts" data-testid="recipe">
    ${row(say('recipePrompt'), r['prompt'])}${row(say('recipeNot'), r['negative'])}
    ${row(say('recipeAction'), r['action'])}
    ${row(say('recipeModel'), `${r['model']}${r['modelHash'] ? ` (${r['modelHash']})` : ''}`)}
    ${row('Seed', String(r['seed']))}
    ${row(say('recipeSize'), `${r['width']} × ${r['height']} · ${r['count']}`)}
    ${row(say('recipeSteps'), `${r['steps']} · ${r['scheduler']}`)}
    ${row('CFG', String(r['guidance']))}
    ${row(say('recipeImage'), image ? `${Math.round(image['strength'] * 100)} %` : undefined)}
  </dl>
  ${r['parent'] ? html`<details class="parent"><summary>${say('recipeParent', { n: String(r['parent'].index + 1) })}</summary>${facts(r['parent'].recipe)}</details>` : nothing}`;
}

export function recipe() {
  const shown = store.panel.recipe;
  if (!shown) return html`<p class="faint">${say('recipeHint')}</p>`;
  if (!shown.recipe) return html`<p class="faint">${say('recipeNone')}</p>`;
  return facts(shown.recipe);
}
