import { html, nothing } from 'lit';
import { act, messageCommand, userCommand } from './actions.ts';
import { nameIn } from './commandLine.ts';
import { composer, setText } from './composer.ts';
import * as icons from './icons.ts';
import { startReply } from './messageView.ts';
import { changed, commands, me, messageById, store } from './store.ts';
import type { OpenMenu, PageMessage, Person } from './types.ts';
import { locale, say } from './words.ts';

/** The menu of a right click on a message or a person: reply, copy, and the bot's commands under Apps. */

export function closeMenu(): void {
  if (!store.menu) return;
  store.menu = undefined;
  changed();
}

function item(label: string, icon: unknown, run: () => void, keepOpen = false) {
  return html`<button type="button" role="menuitem" @click=${() => {
    if (!keepOpen) store.menu = undefined;
    run();
    changed();
  }}><span class="grow">${label}</span>${icon}</button>`;
}

function keys(e: KeyboardEvent): void {
  const items = [...(e.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role=menuitem]')];
  const at = items.indexOf(document.activeElement as HTMLElement);
  if (e.key === 'Escape') closeMenu();
  else if (e.key === 'ArrowDown') (items[at + 1] ?? items[0])?.focus();
  else if (e.key === 'ArrowUp') (items[at - 1] ?? items.at(-1))?.focus();
  else return;
  e.preventDefault();
}

export function menu() {
  const open = store.menu;
  if (!open) return nothing;
  const m = open.messageId ? messageById(open.messageId) : undefined;
  const person = open.userId ? store.users.get(open.userId) : undefined;
  if (m)
    return frame(
      open,
      'Message',
      open.level === 'apps' ? appsOf(3, (name) => void messageCommand(m.id, name)) : ofMessage(m),
    );
  if (person)
    return frame(
      open,
      person.name,
      open.level === 'apps' ? appsOf(2, (name) => void userCommand(person.id, name)) : ofPerson(person),
    );
  return nothing;
}

function toApps() {
  return item(
    say('apps'),
    icons.right(),
    () => {
      if (store.menu) store.menu = { ...store.menu, level: 'apps' };
    },
    true,
  );
}

/** @param type 2 = commands for a person, 3 = for a message */
function appsOf(type: 2 | 3, run: (name: string) => void) {
  const apps = commands().filter((c) => c['type'] === type);
  if (!apps.length) return html`<p class="faint">${say(type === 3 ? 'noApps' : 'noUserApps')}</p>`;
  return apps.map((c) => item(nameIn(c, locale()), nothing, () => run(c['name'])));
}

function ofPerson(person: Person) {
  return html`${toApps()}
    ${item(say('mention'), icons.at(), () => {
      setText(`${composer.text}<@${person.id}> `);
      document.querySelector<HTMLTextAreaElement>('[data-testid=composer]')?.focus();
    })}
    ${item(say('copyUser'), icons.copy(), () => void navigator.clipboard?.writeText(person.id))}`;
}

function ofMessage(m: PageMessage) {
  const mayDelete = m.author.id === store.me || ['moderator', 'owner'].includes(me()?.part ?? '');
  return html`${toApps()}
    ${item(say('reply'), icons.reply(), () => startReply(m.id))}
    ${m.content ? item(say('copyText'), icons.copy(), () => void navigator.clipboard?.writeText(m.content)) : nothing}
    ${item(say('copyId'), icons.copy(), () => void navigator.clipboard?.writeText(m.id))}
    ${mayDelete ? item(say('delete'), icons.trash(), () => void act('remove', { messageId: m.id })) : nothing}`;
}

function frame(open: OpenMenu, name: string, inside: unknown) {
  const x = Math.min(open.x, innerWidth - 240);
  const y = Math.min(open.y, innerHeight - 240);
  return html`<div class="menu-cover" @click=${closeMenu} @contextmenu=${(e: Event) => {
    e.preventDefault();
    closeMenu();
  }}></div>
  <div class="menu" role="menu" aria-label=${open.level === 'apps' ? say('apps') : name} style="left:${Math.max(8, x)}px;top:${Math.max(8, y)}px" @keydown=${keys}>
    ${inside}
  </div>`;
}
