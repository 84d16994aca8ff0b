import { html, nothing } from 'lit';
import { submitModal } from './actions.ts';
import { avatar } from './avatarView.ts';
import * as icons from './icons.ts';
import { markdown } from './markdown.ts';
import { closeSelect, pickedOf, select } from './selectView.ts';
import { changed, store } from './store.ts';
import type { Json } from './types.ts';
import { say } from './words.ts';

/** A modal that the bot opened. */

const SELECTS = new Set([3, 5, 6, 7, 8]);

export function closeModal(): void {
  store.modal = undefined;
  changed();
}

function fields(form: HTMLFormElement): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {};
  for (const el of form.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>('[data-field]'))
    out[el.dataset['field']!] = el.value;
  for (const part of selectsIn(store.modal?.modal['components'] ?? []))
    out[part['custom_id']] = pickedOf(fieldKey(part), part);
  return out;
}

function textInput(part: Json, label: string | undefined, help: string | undefined) {
  const id = `f-${part['custom_id']}`;
  const error = store.modal?.errors[part['custom_id']];
  const most = part['max_length'] ?? 4000;
  const common = { required: part['required'] !== false };
  return html`<div class="field">
    <label for=${id}>${label ?? part['label']}${common.required ? html` <span class="star" aria-hidden="true">*</span>` : nothing}</label>
    ${help ? html`<p class="help">${help}</p>` : nothing}
    ${
      part['style'] === 2
        ? html`<textarea id=${id} data-field=${part['custom_id']} rows="5" maxlength=${most} minlength=${part['min_length'] ?? nothing} ?required=${common.required}
            placeholder=${part['placeholder'] ?? ''} .defaultValue=${part['value'] ?? ''}></textarea>`
        : html`<input id=${id} data-field=${part['custom_id']} type="text" maxlength=${most} minlength=${part['min_length'] ?? nothing} ?required=${common.required}
            placeholder=${part['placeholder'] ?? ''} .defaultValue=${part['value'] ?? ''}>`
    }
    ${error ? html`<p class="error" role="alert">${error}</p>` : nothing}
  </div>`;
}

const fieldKey = (part: Json): string => `modal:${store.modal?.opener}:${part['custom_id']}`;

function selectInput(part: Json, label: string | undefined, help: string | undefined) {
  const error = store.modal?.errors[part['custom_id']];
  return html`<div class="field" role="group" aria-label=${label ?? part['placeholder'] ?? ''}>
    ${label ? html`<span class="field-label">${label}${part['required'] === false ? nothing : html` <span class="star" aria-hidden="true">*</span>`}</span>` : nothing}
    ${help ? html`<p class="help">${help}</p>` : nothing}
    ${select(fieldKey(part), part, () => {})}
    ${error ? html`<p class="error" role="alert">${error}</p>` : nothing}</div>`;
}

function* selectsIn(parts: Json[]): Generator<Json> {
  for (const p of parts) {
    if (SELECTS.has(p['type'])) yield p;
    yield* selectsIn([...(p['components'] ?? []), ...(p['component'] ? [p['component']] : [])]);
  }
}

function part(p: Json, label?: string, help?: string): unknown {
  if (p['type'] === 1) return (p['components'] ?? []).map((c: Json) => part(c));
  if (p['type'] === 18) return part(p['component'], p['label'], p['description']);
  if (p['type'] === 10) return html`<div class="markup">${markdown(p['content'])}</div>`;
  if (p['type'] === 4) return textInput(p, label, help);
  if (SELECTS.has(p['type'])) return selectInput(p, label, help);
  return nothing;
}

export function modal() {
  const open = store.modal;
  if (!open) return nothing;
  const submit = (e: SubmitEvent): void => {
    e.preventDefault();
    closeSelect();
    void submitModal(fields(e.currentTarget as HTMLFormElement));
  };
  const bot = [...store.users.values()].find((u) => u.bot);
  return html`<div class="backdrop" @mousedown=${(e: Event) => e.target === e.currentTarget && closeModal()}>
    <form class="modal" role="dialog" aria-modal="true" aria-labelledby="modal-title" @submit=${submit}
      @keydown=${(e: KeyboardEvent) => e.key === 'Escape' && closeModal()}>
      <header>${bot ? avatar(bot.id, 32, 'avatar small') : nothing}<h2 id="modal-title">${open.modal['title']}</h2>
        <button type="button" class="ghost" aria-label=${say('close')} @click=${closeModal}>${icons.close(24)}</button></header>
      <div class="modal-body">${(open.modal['components'] ?? []).map((c: Json) => part(c))}
        ${open.errors[''] ? html`<p class="error" role="alert">${open.errors['']}</p>` : nothing}</div>
      <footer><button type="button" class="btn secondary wide" @click=${closeModal}>${say('cancel')}</button>
        <button type="submit" class="btn primary wide ${open.busy ? 'busy' : ''}" ?disabled=${open.busy}>${say('submit')}</button></footer>
    </form>
  </div>`;
}
