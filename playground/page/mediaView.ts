import { html, nothing } from 'lit';
import * as icons from './icons.ts';
import { readRecipe } from './recipeView.ts';
import { changed, store } from './store.ts';
import type { Json } from './types.ts';
import { say } from './words.ts';

/** Attachments in Discord's sizes: at most 550 by 350, space kept before the picture is there. */

const MAX_W = 550;
const MAX_H = 350;

function shrink(
  width: number,
  height: number,
  maxW = MAX_W,
  maxH = MAX_H,
): { width: number; height: number } {
  const scale = Math.min(1, maxW / width, maxH / height);
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}

export function openLightbox(url: string, alt: string, name: string): void {
  store.lightbox = { url, alt, name };
  void readRecipe(url);
  changed();
}

export function picture(
  a: { url: string; width?: number; height?: number; alt: string; name: string },
  maxW = MAX_W,
  maxH = MAX_H,
) {
  const box = shrink(a.width ?? 300, a.height ?? 300, maxW, maxH);
  return html`<button type="button" class="picture" style="--width:${box.width}px;--ratio:${box.width}/${box.height}"
      aria-label=${a.alt || a.name} @click=${() => openLightbox(a.url, a.alt, a.name)}>
      <img src=${a.url} alt="" width=${box.width} height=${box.height} decoding="async">
    </button>`;
}

export const size = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} bytes`
    : bytes < 1048576
      ? `${(bytes / 1024).toFixed(2)} KB`
      : `${(bytes / 1048576).toFixed(2)} MB`;

export function attachments(list: Json[]) {
  if (!list.length) return nothing;
  const pictures = list.filter((a) => /^image\/(png|jpeg|webp|gif|avif)/.test(a['content_type'] ?? ''));
  const others = list.filter((a) => !pictures.includes(a));
  return html`<div class=${pictures.length > 1 ? 'attachments mosaic' : 'attachments'}>
    ${pictures.map((a) => picture({ url: a['url'], width: a['width'], height: a['height'], alt: a['description'] ?? '', name: a['filename'] }))}
    ${others.map(
      (a) => html`<div class="file">
        ${icons.file()}
        <span><a href=${a['url']} download>${a['filename']}</a><small>${size(a['size'])}</small></span>
      </div>`,
    )}
  </div>`;
}

export function closeLightbox(): void {
  store.lightbox = undefined;
  changed();
}

export function lightbox() {
  const box = store.lightbox;
  if (!box) return nothing;
  return html`<div class="lightbox" role="dialog" aria-modal="true" aria-label=${box.alt || box.name} @click=${closeLightbox}
      @keydown=${(e: KeyboardEvent) => e.key === 'Escape' && closeLightbox()}>
      <img src=${box.url} alt=${box.alt || box.name} @click=${(e: Event) => e.stopPropagation()}>
      <div class="lightbox-bar">
        <a href=${box.url} target="_blank" rel="noopener" @click=${(e: Event) => e.stopPropagation()}>${say('openOriginal')}</a>
        <button type="button" autofocus class="ghost" aria-label=${say('close')} @click=${closeLightbox}>${icons.close()}</button>
      </div>
    </div>`;
}
