import { html, nothing, type TemplateResult } from 'lit';
import { click } from './actions.ts';
import * as icons from './icons.ts';
import { markdown } from './markdown.ts';
import { picture } from './mediaView.ts';
import { changed, store } from './store.ts';
import type { Json, PageMessage } from './types.ts';

/** Buttons, selects and the newer layout parts, as real form controls. */

const STYLES: Record<number, string> = {
  1: 'primary',
  2: 'secondary',
  3: 'success',
  4: 'danger',
  5: 'link',
  6: 'premium',
};

function emoji(e: Json | undefined) {
  return e?.['name'] ? html`<span class="emoji" aria-hidden=${'false'}>${e['name']}</span>` : nothing;
}

function button(message: PageMessage, part: Json): TemplateResult {
  const style = STYLES[part['style']] ?? 'secondary';
  if (part['style'] === 5)
    return html`<a class="btn link" href=${/^https?:\/\//.test(part['url'] ?? '') && !part['disabled'] ? part['url'] : nothing} target="_blank" rel="noopener noreferrer">
      ${emoji(part['emoji'])}${part['label'] ?? nothing}${icons.external()}</a>`;
  const busy = store.busy.has(`${message.id}:${part['custom_id']}`);
  return html`<button type="button" class="btn ${style} ${busy ? 'busy' : ''} ${part['label'] ? '' : 'bare'}" ?disabled=${part['disabled'] === true}
      aria-busy=${busy ? 'true' : 'false'} data-custom-id=${part['custom_id'] ?? nothing} @click=${() => void click(message, part['custom_id'])}>
      ${emoji(part['emoji'])}${part['label'] ? html`<span>${part['label']}</span>` : nothing}
    </button>`;
}

function choices(part: Json): Json[] {
  if (part['type'] === 3) return part['options'];
  if (part['type'] === 5)
    return [...store.users.values()].map((u) => ({ label: u.name, value: u.id, description: u.username }));
  if (part['type'] === 8) return [{ label: 'pictures', value: store.channels.guild }];
  return [];
}

function select(message: PageMessage, part: Json): TemplateResult {
  const key = `${message.id}:${part['custom_id']}`;
  const list = choices(part);
  const open = store.openSelect === key;
  const many = (part['max_values'] ?? 1) > 1;
  const picked = store.selects.get(key) ?? list.filter((o) => o['default']).map((o) => o['value'] as string);
  const shown = list
    .filter((o) => picked.includes(o['value']))
    .map((o) => o['label'])
    .join(', ');
  const name = part['placeholder'] ?? 'Make a selection';
  const toggle = (): void => {
    store.openSelect = open ? undefined : key;
    changed();
  };
  const send = (values: string[]): void => {
    store.openSelect = undefined;
    void click(message, part['custom_id'], values).finally(() => store.selects.delete(key));
  };
  const pick = (value: string): void => {
    const next = many
      ? picked.includes(value)
        ? picked.filter((v) => v !== value)
        : [...picked, value].slice(0, part['max_values'])
      : [value];
    store.selects.set(key, next);
    if (!many) send(next);
    changed();
  };
  const keys = (e: KeyboardEvent): void => {
    const items = [
      ...((e.currentTarget as HTMLElement).querySelectorAll('[role=option]') as NodeListOf<HTMLElement>),
    ];
    const at = items.indexOf(document.activeElement as HTMLElement);
    if (e.key === 'Escape' && open) toggle();
    else if (e.key === 'ArrowDown') (items[at + 1] ?? items[0])?.focus();
    else if (e.key === 'ArrowUp') (items[at - 1] ?? items.at(-1))?.focus();
    else return;
    e.preventDefault();
  };
  return html`<div class="select" @keydown=${keys}>
    <button type="button" class="select-head" ?disabled=${part['disabled'] === true} aria-haspopup="listbox" aria-expanded=${open ? 'true' : 'false'}
      aria-label=${name} @click=${toggle}><span class=${shown ? '' : 'faint'}>${shown || name}</span>${icons.down()}</button>
    ${
      open
        ? html`<div class="select-list" role="listbox" aria-label=${name} aria-multiselectable=${many ? 'true' : 'false'}>
          ${list.map(
            (
              o,
            ) => html`<div role="option" tabindex="0" class="select-option" aria-selected=${picked.includes(o['value']) ? 'true' : 'false'} @click=${() => pick(o['value'])}
              @keydown=${(e: KeyboardEvent) => pickKey(e, () => pick(o['value']))}>
              ${emoji(o['emoji'])}<span class="grow">${o['label']}${o['description'] ? html`<small>${o['description']}</small>` : nothing}</span>
              ${picked.includes(o['value']) ? icons.check() : nothing}</div>`,
          )}
          ${many ? html`<button type="button" class="btn primary" @click=${() => send(picked)}>OK</button>` : nothing}
        </div>`
        : nothing
    }
  </div>`;
}

function pickKey(e: KeyboardEvent, run: () => void): void {
  if (e.key !== 'Enter' && e.key !== ' ') return;
  e.preventDefault();
  run();
}

function media(item: Json | undefined, max = 550) {
  const m = item?.['media'];
  return m?.url
    ? picture(
        { url: m.url, width: m.width, height: m.height, alt: item?.['description'] ?? '', name: 'image' },
        max,
        350,
      )
    : nothing;
}

export function component(message: PageMessage, part: Json): unknown {
  const inner = (): unknown[] => (part['components'] ?? []).map((c: Json) => component(message, c));
  switch (part['type']) {
    case 1:
      return html`<div class="row">${inner()}</div>`;
    case 2:
      return button(message, part);
    case 3:
    case 5:
    case 6:
    case 7:
    case 8:
      return select(message, part);
    case 9:
      return html`<div class="section"><div class="grow">${inner()}</div>${part['accessory'] ? component(message, part['accessory']) : nothing}</div>`;
    case 10:
      return html`<div class="markup">${markdown(part['content'])}</div>`;
    case 11:
      return media(part, 85);
    case 12:
      return html`<div class="attachments ${part['items'].length > 1 ? 'mosaic' : ''}">${part['items'].map((i: Json) => media(i))}</div>`;
    case 13:
      return html`<div class="file">${icons.file()}<a href=${part['file']?.url}>${part['name'] ?? 'file'}</a></div>`;
    case 14:
      return html`<hr class=${part['divider'] === false ? 'blank' : ''}>`;
    case 17:
      return html`<div class="container" style=${part['accent_color'] ? `border-left-color:#${part['accent_color'].toString(16).padStart(6, '0')}` : ''}>${inner()}</div>`;
    default:
      return nothing;
  }
}

export function components(message: PageMessage) {
  if (!message.components.length) return nothing;
  return html`<div class="components">${message.components.map((c) => component(message, c))}</div>`;
}
