import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { avatar } from './avatarView.ts';
import {
  addFiles,
  composer,
  descriptionIn,
  enterOption,
  nameIn,
  onKey,
  openOptions,
  send,
  setText,
  suggestions,
  take,
  typed,
} from './composer.ts';
import * as icons from './icons.ts';
import { changed, inDm, messageById, nameOf, placeName, store } from './store.ts';
import type { Json } from './types.ts';
import { locale, say } from './words.ts';
import { workerNote } from './workerHealthView.ts';

const TYPE_NAMES: Record<number, string> = {
  3: 'text',
  4: 'integer',
  5: 'true or false',
  6: 'user',
  7: 'channel',
  8: 'role',
  9: 'user',
  10: 'number',
  11: 'file',
};

/** A number option's range; a text's allowed length is shown when it is exceeded. */
function range(o: Json): string {
  const [min, max] = [o['min_value'], o['max_value']];
  if (min === undefined && max === undefined) return '';
  if (min === undefined) return ` ≤ ${max}`;
  return max === undefined ? ` ≥ ${min}` : ` ${min}–${max}`;
}

function picker() {
  const list = suggestions();
  const bot = [...store.users.values()].find((u) => u.bot);
  if (!list.length) {
    if (composer.choices.loading) return html`<div class="picker"><p class="faint loading">…</p></div>`;
    return nothing;
  }
  const isCommand = list[0]!.kind === 'command';
  return html`<div class="picker" data-testid="picker">
    <div class="picker-head">${isCommand ? html`${bot ? avatar(bot.id, 20, 'mini') : nothing} ${bot?.name ?? say('commands')}` : nameIn(list[0]!.part, locale())}</div>
    <div id="picker" role="listbox" aria-label=${isCommand ? say('commands') : say('options')}>
      ${list.map(
        (
          s,
          i,
        ) => html`<div id="pick-${i}" role="option" class="pick" data-testid="picker-option" aria-selected=${i === composer.active ? 'true' : 'false'}
            @mousedown=${(e: Event) => {
              e.preventDefault();
              take(s);
            }} @mousemove=${() => {
              if (composer.active !== i) {
                composer.active = i;
                changed();
              }
            }}>
          <span class="pick-text"><b>${s.label}</b>${
            s.kind === 'command'
              ? (s.part['options'] ?? [])
                  .filter((o: Json) => o['type'] > 2)
                  .slice(0, 4)
                  .map(
                    (o: Json) =>
                      html` <span class="pick-option ${o['required'] ? 'needed' : ''}">${nameIn(o, locale())}</span>`,
                  )
              : nothing
          }
          ${s.description ? html`<small>${s.description}</small>` : nothing}</span>
          ${isCommand ? html`<span class="faint pick-bot">${bot?.name}</span>` : nothing}
        </div>`,
      )}
    </div>
  </div>`;
}

/** While a command is being written: its options, the current one explained, files to add. */
function optionBar() {
  const t = typed();
  if (!t || composer.text.length <= t.headEnd) return nothing;
  const current = t.options.find((o) => o['name'] === t.current);
  const files = t.options.filter((o) => o['type'] === 11);
  const rest = openOptions(t);
  return html`<div class="option-bar" data-testid="option-bar">
    <div class="option-now">${
      current
        ? html`<b>${nameIn(current, locale())}</b> <span class="faint">${TYPE_NAMES[current['type']] ?? ''}${range(current)}</span> ${descriptionIn(current, locale())}`
        : html`<b>/${t.path}</b> ${descriptionIn(t.command, locale())}`
    }</div>
    ${rest.length ? html`<div class="option-rest">${rest.map((o) => html`<button type="button" class="option-chip ${o['required'] ? 'needed' : ''}" title=${descriptionIn(o, locale())} data-testid="option-chip" @click=${() => enterOption(o)}>${o['type'] === 11 ? icons.image() : '+ '}${nameIn(o, locale())}</button>`)}</div>` : nothing}
    ${files.map((o) => fileSlot(o))}
  </div>`;
}

const thumbs = new WeakMap<File, string>();
function thumb(file: File): string {
  let url = thumbs.get(file);
  if (!url) {
    url = URL.createObjectURL(file);
    thumbs.set(file, url);
  }
  return url;
}

function fileSlot(o: Json): TemplateResult {
  const name: string = o['name'];
  const file = composer.files.get(name);
  const input = html`<input type="file" hidden data-file=${name} data-testid="file-${name}" aria-label=${nameIn(o, locale())} @change=${(
    e: Event,
  ) => {
    const chosen = (e.target as HTMLInputElement).files?.[0];
    if (chosen) composer.files.set(name, chosen);
    changed();
  }}>`;
  if (!file)
    return html`${input}${o['required'] ? html`<button type="button" class="drop" @click=${() => enterOption(o)}>${icons.image()} ${nameIn(o, locale())}: ${say('addFile')}</button>` : nothing}`;
  return html`${input}<div class="file-chip" data-testid="file-chip">
    ${file.type.startsWith('image/') ? html`<img src=${thumb(file)} alt="">` : icons.file()}
    <span><b>${nameIn(o, locale())}</b> ${file.name}</span>
    <button type="button" class="ghost" aria-label="${say('delete')}: ${file.name}" @click=${() => {
      composer.files.delete(name);
      changed();
    }}>${icons.close(16)}</button></div>`;
}

/** A copy of the text behind the field, with the command and its option labels as pills. */
function mirror() {
  const { text } = composer;
  const t = typed();
  if (!t) return html`${text}\u200b`;
  const out: unknown[] = [html`<span class="pill-command">${text.slice(0, t.headEnd)}</span>`];
  let at = t.headEnd;
  for (const s of t.spans) {
    out.push(text.slice(at, s.labelStart));
    if (s.start > s.labelStart)
      out.push(html`<span class="pill-label">${text.slice(s.labelStart, s.start)}</span>`);
    out.push(
      html`<span class=${composer.error?.option === s.name ? 'pill-bad' : s.name === t.current ? 'pill-value now' : 'pill-value'}>${text.slice(s.start, s.end)}</span>`,
    );
    at = s.end;
  }
  out.push(text.slice(at));
  return html`${out}\u200b`;
}

export function composerView() {
  const list = suggestions();
  const sync = (e: Event): void => {
    const el = e.target as HTMLTextAreaElement;
    setText(el.value, el.selectionStart);
  };
  const moved = (e: Event): void => {
    const el = e.target as HTMLTextAreaElement;
    if (el.selectionStart === composer.caret) return;
    composer.caret = el.selectionStart;
    changed();
  };
  const target = store.replyTo ? messageById(store.replyTo) : undefined;
  const placeholder = inDm() ? say('placeholderDm') : say('placeholder', { channel: placeName() });
  return html`<div class="composer-wrap">
    ${picker()}
    ${store.online || !store.connected ? nothing : html`<p class="bar-note" role="status">${icons.warn()} ${say('botAway')}</p>`}
    ${workerNote()}
    ${composer.error ? html`<p class="bar-error" role="alert" data-testid="composer-error">${composer.error.option ? html`<b>${composer.error.option}</b>: ` : nothing}${composer.error.text}</p>` : nothing}
    ${
      target
        ? html`<div class="replying">${say('replyingTo', { name: nameOf(target.author.id) })}<button type="button" class="ghost" aria-label=${say('cancel')} @click=${() => {
            store.replyTo = undefined;
            changed();
          }}>${icons.close(16)}</button></div>`
        : nothing
    }
    ${optionBar()}
    <div class="composer ${list.length || typed() ? 'open' : ''}">
      <button type="button" class="plus" aria-label=${say('commands')} @click=${() => {
        setText('/');
        document.querySelector<HTMLTextAreaElement>('[data-testid=composer]')?.focus();
      }}>${icons.plus()}</button>
      <div class="field-stack">
        <div class="mirror" aria-hidden="true">${mirror()}</div>
        <textarea data-testid="composer" rows="1" spellcheck="false" autocomplete="off" placeholder=${placeholder} aria-label=${placeholder}
          role="combobox" aria-autocomplete="list" aria-haspopup="listbox" aria-expanded=${list.length ? 'true' : 'false'} aria-controls="picker"
          aria-activedescendant=${list.length ? `pick-${composer.active}` : nothing}
          .value=${live(composer.text)} @input=${sync} @keydown=${onKey} @keyup=${moved} @click=${moved}
          @paste=${(e: ClipboardEvent) => {
            const files = [...(e.clipboardData?.files ?? [])];
            if (!files.length) return;
            e.preventDefault();
            addFiles(files);
          }}></textarea>
      </div>
      <button type="button" class="send" aria-label=${say('send')} ?disabled=${!composer.text.trim()} @click=${() => void send()}>
        <svg viewBox="0 0 24 24" width="20" height="20" fill="currentColor" aria-hidden="true"><path d="M3 4.500 21 12 3 19.500l2.200-6L14 12 5.200 10.500Z"/></svg></button>
    </div>
  </div>`;
}
