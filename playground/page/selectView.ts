import { html, nothing, type TemplateResult } from 'lit';
import { avatar } from './avatarView.ts';
import { emoji } from './emojiView.ts';
import * as icons from './icons.ts';
import { changed, store } from './store.ts';
import type { Json } from './types.ts';
import { say } from './words.ts';

/** Select menus of words, people, roles and channels: one list, in messages and in forms. */

interface Choice {
  value: string;
  label: string;
  description?: string | undefined;
  face: unknown;
}

/** Lists of people, roles and channels can be searched; short lists of words need no search. */
const SEARCH_FROM = 10;
const ROOM_PX = 300;

const people = (): Choice[] =>
  [...store.users.values()].map((u) => ({
    value: u.id,
    label: u.name,
    description: u.username,
    face: avatar(u.id, 24, 'mini'),
  }));
const roles = (): Choice[] =>
  store.roles.map((r) => ({
    value: r.id,
    label: r.name.replace(/^@/, ''),
    face: html`<span class="role-dot" style="color:${r.color ? `#${r.color.toString(16).padStart(6, '0')}` : 'var(--faint)'}">${icons.at()}</span>`,
  }));

function choices(part: Json): Choice[] {
  switch (part['type']) {
    case 3:
      return part['options'].map((o: Json) => ({
        value: o['value'],
        label: o['label'],
        description: o['description'],
        face: o['emoji']?.name ? emoji(o['emoji'].name) : nothing,
      }));
    case 5:
      return people();
    case 6:
      return roles();
    case 7:
      return [...people(), ...roles()];
    default: {
      const types: number[] | undefined = part['channel_types'];
      if (types?.length && !types.includes(0)) return [];
      return Object.entries(store.channelNames).map(([value, label]) => ({
        value,
        label,
        face: icons.hash(),
      }));
    }
  }
}

/** The picked values: the person's choice, else the bot's defaults. */
export function pickedOf(key: string, part: Json): string[] {
  const preset = (part['options'] ?? []).filter((o: Json) => o['default']).map((o: Json) => o['value']);
  const defaults = (part['default_values'] ?? []).map((d: Json) => d['id']);
  return store.selects.get(key) ?? [...preset, ...defaults];
}

interface Open {
  key: string;
  /** Called when the list closes with another choice than it opened with. */
  done(values: string[]): void;
  part: Json;
  before: string[];
}
let open: Open | undefined;

/** A choice of several is sent when its list closes, as in Discord. */
export function closeSelect(): void {
  if (!open) return;
  const { key, done, part, before } = open;
  open = undefined;
  store.openSelect = undefined;
  const picked = pickedOf(key, part);
  const enough = picked.length >= (part['min_values'] ?? 1) && picked.length <= (part['max_values'] ?? 1);
  if (!enough) store.selects.set(key, before);
  else if (picked.join() !== before.join()) done(picked);
  changed();
}

function start(key: string, part: Json, done: Open['done'], head: HTMLElement): void {
  closeSelect();
  open = { key, part, done, before: pickedOf(key, part) };
  const above = head.getBoundingClientRect().top > ROOM_PX;
  store.openSelect = { key, search: '', above };
  changed();
  requestAnimationFrame(() =>
    head.parentElement?.querySelector<HTMLElement>('input, [role=option]')?.focus({ preventScroll: true }),
  );
}

function keys(e: KeyboardEvent): void {
  if (!store.openSelect) return;
  const box = e.currentTarget as HTMLElement;
  const items = [...box.querySelectorAll<HTMLElement>('[role=option]')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  if (e.key === 'Escape' || e.key === 'Tab') {
    closeSelect();
    box.querySelector<HTMLElement>('.select-head')?.focus();
    if (e.key === 'Tab') return;
    e.stopPropagation();
  } else if (e.key === 'ArrowDown') (items[at + 1] ?? items[0])?.focus();
  else if (e.key === 'ArrowUp') (items[at - 1] ?? items.at(-1))?.focus();
  else return;
  e.preventDefault();
}

/** @param done called with the ids or values, once the choice is made */
export function select(key: string, part: Json, done: (values: string[]) => void): TemplateResult {
  const list = choices(part);
  const state = store.openSelect?.key === key ? store.openSelect : undefined;
  const most: number = part['max_values'] ?? 1;
  const picked = pickedOf(key, part);
  const name = part['placeholder'] ?? say('makeSelection');
  const chosen = list.filter((o) => picked.includes(o.value));
  const disabled = part['disabled'] === true;
  const pick = (value: string): void => {
    if (most === 1) {
      store.selects.set(key, [value]);
      closeSelect();
      return;
    }
    const next = picked.includes(value) ? picked.filter((v) => v !== value) : [...picked, value];
    if (next.length <= most) store.selects.set(key, next);
    changed();
  };
  const clear = (): void => {
    store.selects.set(key, []);
    done([]);
    changed();
  };
  const found = state?.search
    ? list.filter((o) =>
        `${o.label} ${o.description ?? ''}`.toLowerCase().includes(state.search.toLowerCase()),
      )
    : list;
  return html`<div class="select" data-testid="select" @keydown=${keys}>
    <button type="button" class="select-head" ?disabled=${disabled} aria-haspopup="listbox" aria-expanded=${state ? 'true' : 'false'} aria-label=${chosen.length ? `${name}: ${chosen.map((o) => o.label).join(', ')}` : name}
      @click=${(e: Event) => (state ? closeSelect() : start(key, part, done, e.currentTarget as HTMLElement))}>
      ${
        chosen.length
          ? html`<span class="picked">${chosen.map((o) => html`<span class=${most > 1 ? 'chip' : 'one'}>${o.face}${o.label}</span>`)}</span>`
          : html`<span class="faint">${name}</span>`
      }${icons.down()}</button>
    ${
      chosen.length && part['min_values'] === 0 && most === 1 && !disabled
        ? html`<button type="button" class="ghost select-clear" aria-label=${say('clear')} @click=${clear}>${icons.close(16)}</button>`
        : nothing
    }
    ${
      state
        ? html`<div class="select-list ${state.above ? 'above' : ''}">
          ${
            part['type'] === 3 && list.length <= SEARCH_FROM
              ? nothing
              : html`<input type="text" class="select-search" aria-label=${say('search')} placeholder=${say('search')} .value=${state.search} @input=${(
                  e: Event,
                ) => {
                  state.search = (e.target as HTMLInputElement).value;
                  changed();
                }}>`
          }
          <div role="listbox" aria-label=${name} aria-multiselectable=${most > 1 ? 'true' : 'false'}>
          ${found.map((o) => {
            const on = picked.includes(o.value);
            const full = !on && most > 1 && picked.length >= most;
            return html`<div role="option" tabindex="-1" class="select-option ${full ? 'full' : ''}" aria-selected=${on ? 'true' : 'false'} aria-disabled=${full ? 'true' : 'false'}
              @click=${() => pick(o.value)} @keydown=${(e: KeyboardEvent) => pickKey(e, () => pick(o.value))}>
              ${o.face}<span class="grow">${o.label}${o.description ? html`<small>${o.description}</small>` : nothing}</span>
              ${most > 1 ? html`<span class="box ${on ? 'on' : ''}">${on ? icons.check() : nothing}</span>` : on ? icons.check() : nothing}</div>`;
          })}
          ${found.length ? nothing : html`<p class="faint select-none">${say('noChoices')}</p>`}
          </div>
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
