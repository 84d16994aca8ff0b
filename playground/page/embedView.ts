import { html, nothing } from 'lit';
import { markdown } from './markdown.ts';
import { picture } from './mediaView.ts';
import { store } from './store.ts';
import type { Json } from './types.ts';

const colour = (n: number | undefined): string | undefined =>
  n ? `#${n.toString(16).padStart(6, '0')}` : undefined;

const web = (url: unknown): string | undefined =>
  typeof url === 'string' && /^https?:\/\//.test(url) ? url : undefined;

function columns(fields: Json[]) {
  // Up to three inline fields share a line of twelve columns.
  const rows: Json[][] = [];
  for (const field of fields) {
    const last = rows.at(-1);
    if (field['inline'] && last?.[0]?.['inline'] && last.length < 3) last.push(field);
    else rows.push([field]);
  }
  return rows.flatMap((row) =>
    row.map((field, i) => ({ field, from: 1 + (12 / row.length) * i, to: 1 + (12 / row.length) * (i + 1) })),
  );
}

/** The frame is discord-embed's; texts and pictures go into its slots. */
export function embed(e: Json) {
  const light = store.theme === 'light';
  const footer = e['footer']?.text as string | undefined;
  const stamp = e['timestamp']
    ? new Date(e['timestamp']).toLocaleString(store.users.get(store.me)?.locale ?? 'en-US', {
        dateStyle: 'short',
        timeStyle: 'short',
      })
    : '';
  const image = e['image'];
  return html`<discord-embed ?light-theme=${light} color=${colour(e['color']) ?? nothing} author-name=${e['author']?.name ?? nothing}
      author-url=${web(e['author']?.url) ?? nothing} data-testid="embed">
      <div slot="description" class="embed-text">
        ${e['title'] ? html`<div class="embed-title">${web(e['url']) ? html`<a href=${web(e['url'])!} target="_blank" rel="noopener noreferrer">${e['title']}</a>` : markdown(e['title'], { inline: true })}</div>` : nothing}
        ${e['description'] ? html`<div class="embed-description">${markdown(e['description'])}</div>` : nothing}
        ${
          e['fields']?.length
            ? html`<div class="embed-fields">${columns(e['fields']).map(
                ({ field, from, to }) =>
                  html`<div style="grid-column:${from}/${to}"><div class="embed-name">${markdown(field['name'], { inline: true })}</div><div class="embed-value">${markdown(field['value'])}</div></div>`,
              )}</div>`
            : nothing
        }
        ${image?.url ? html`<div class="embed-image">${picture({ url: image.url, width: image.width, height: image.height, alt: '', name: 'image' }, 400, 300)}</div>` : nothing}
        ${footer || stamp ? html`<div class="embed-footer">${[footer, stamp].filter(Boolean).join(' • ')}</div>` : nothing}
      </div>
      ${e['thumbnail']?.url ? html`<div slot="fields" class="embed-thumbnail">${picture({ url: e['thumbnail'].url, width: e['thumbnail'].width, height: e['thumbnail'].height, alt: '', name: 'thumbnail' }, 80, 80)}</div>` : nothing}
    </discord-embed>`;
}
