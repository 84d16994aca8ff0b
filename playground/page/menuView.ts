import { html, nothing } from 'lit';
import { act, messageCommand } from './actions.ts';
import { nameIn } from './commandLine.ts';
import * as icons from './icons.ts';
import { startReply } from './messageView.ts';
import { changed, commands, me, messageById, store } from './store.ts';
import { locale, say } from './words.ts';

/** Right click on a message: reply, copy, and the bot's message commands under Apps. */

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
  const m = open && messageById(open.messageId);
  if (!open || !m) return nothing;
  const apps = commands().filter((c) => c['type'] === 3);
  const mayDelete = m.author.id === store.me || ['moderator', 'owner'].includes(me()?.part ?? '');
  const main = () => html`
    ${item(
      say('apps'),
      icons.right(),
      () => {
        if (store.menu) store.menu = { ...store.menu, level: 'apps' };
      },
      true,
    )}
    ${item(say('reply'), icons.reply(), () => startReply(m.id))}
    ${m.content ? item(say('copyText'), icons.copy(), () => void navigator.clipboard?.writeText(m.content)) : nothing}
    ${item(say('copyId'), icons.copy(), () => void navigator.clipboard?.writeText(m.id))}
    ${mayDelete ? item(say('delete'), icons.trash(), () => void act('remove', { messageId: m.id })) : nothing}`;
  const appList = () =>
    apps.length
      ? apps.map((c) => item(nameIn(c, locale()), nothing, () => void messageCommand(m.id, c['name'])))
      : html`<p class="faint">${say('noApps')}</p>`;
  const x = Math.min(open.x, innerWidth - 240);
  const y = Math.min(open.y, innerHeight - 240);
  return html`<div class="menu-cover" @click=${closeMenu} @contextmenu=${(e: Event) => {
    e.preventDefault();
    closeMenu();
  }}></div>
  <div class="menu" role="menu" aria-label=${open.level === 'apps' ? say('apps') : 'Message'} style="left:${Math.max(8, x)}px;top:${Math.max(8, y)}px" @keydown=${keys}>
    ${open.level === 'apps' ? appList() : main()}
  </div>`;
}
