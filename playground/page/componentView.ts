import { html, nothing, type TemplateResult } from 'lit';
import { click } from './actions.ts';
import { emoji } from './emojiView.ts';
import * as icons from './icons.ts';
import { markdown } from './markdown.ts';
import { picture } from './mediaView.ts';
import { select } from './selectView.ts';
import { store } from './store.ts';
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

const face = (e: Json | undefined) => (e?.['name'] ? emoji(e['name']) : nothing);

function button(message: PageMessage, part: Json): TemplateResult {
  const style = STYLES[part['style']] ?? 'secondary';
  if (part['style'] === 5)
    return html`<a class="btn link" href=${/^https?:\/\//.test(part['url'] ?? '') && !part['disabled'] ? part['url'] : nothing} target="_blank" rel="noopener noreferrer">
      ${face(part['emoji'])}${part['label'] ?? nothing}${icons.external()}</a>`;
  const busy = store.busy.has(`${message.id}:${part['custom_id']}`);
  return html`<button type="button" class="btn ${style} ${busy ? 'busy' : ''} ${part['label'] ? '' : 'bare'}" ?disabled=${part['disabled'] === true}
      aria-busy=${busy ? 'true' : 'false'} data-custom-id=${part['custom_id'] ?? nothing} @click=${() => void click(message, part['custom_id'])}>
      ${face(part['emoji'])}${part['label'] ? html`<span>${part['label']}</span>` : nothing}
    </button>`;
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
      return select(
        `${message.id}:${part['custom_id']}`,
        part,
        (values) => void click(message, part['custom_id'], values),
      );
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
