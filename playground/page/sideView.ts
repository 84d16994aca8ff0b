import { html, nothing } from 'lit';
import { setLocale, setTheme } from './actions.ts';
import { avatar } from './avatarView.ts';
import * as icons from './icons.ts';
import { togglePanel } from './panelView.ts';
import { changed, inDm, me, placeName, store, view } from './store.ts';
import { switchTo } from './wire.ts';
import { say } from './words.ts';

/** The list of channels, and the person whom the page is shown to. */

function open(which: typeof store.current): void {
  store.current = which;
  store.replyTo = undefined;
  store.sidebar = false;
  view().unread = 0;
  changed();
}

function entry(which: typeof store.current, icon: unknown, name: string) {
  const unread = store.views.get(store.channels[which])?.unread ?? 0;
  const here = store.current === which;
  return html`<li><button type="button" class="channel ${here ? 'here' : ''} ${unread ? 'unread' : ''}" data-testid="channel-${which}" aria-current=${here ? 'page' : nothing} @click=${() => open(which)}>
    ${icon}<span class="grow">${name}</span>${unread && !here ? html`<span class="count" aria-label="${unread} unread">${unread}</span>` : nothing}</button></li>`;
}

export function side() {
  const people = [...store.users.values()].filter((u) => !u.bot);
  const self = me();
  const bot = [...store.users.values()].find((u) => u.bot);
  const other = (part: string): void => {
    store.current = 'guild';
    switchTo(part);
  };
  return html`<nav class="side ${store.sidebar ? 'shown' : ''}" aria-label=${say('channels')}>
    <div class="side-head">Dreamgrid Playground</div>
    <div class="side-body">
      <h2>${say('channels')}</h2>
      <ul>${entry('guild', icons.hash(), 'pictures')}${entry('lounge', icons.hash(), 'lounge')}</ul>
      <h2>${say('direct')}</h2>
      <ul>${entry('dm', bot ? avatar(bot.id, 24, 'mini') : nothing, bot?.name ?? 'Dreamgrid')}</ul>
    </div>
    <div class="self">
      ${self ? avatar(self.id, 32, 'avatar small') : nothing}
      <label class="self-pick"><span class="sr-only">${say('people')}</span>
        <select data-testid="user-switch" @change=${(e: Event) => other((e.target as HTMLSelectElement).value)}>
          ${people.map((u) => html`<option value=${u.part} ?selected=${u.id === store.me}>${u.name} (${u.part})</option>`)}
        </select></label>
      <label class="self-lang"><span class="sr-only">${say('language')}</span>
        <select data-testid="locale" @change=${(e: Event) => void setLocale((e.target as HTMLSelectElement).value)}>
          <option value="en-US" ?selected=${self?.locale !== 'vi'}>EN</option><option value="vi" ?selected=${self?.locale === 'vi'}>VI</option>
        </select></label>
    </div>
  </nav>`;
}

export function topBar() {
  const guild = !inDm();
  return html`<header class="top">
    <button type="button" class="ghost burger" aria-label=${say('channels')} aria-expanded=${store.sidebar ? 'true' : 'false'} @click=${() => {
      store.sidebar = !store.sidebar;
      changed();
    }}>${icons.menu()}</button>
    ${guild ? icons.hash() : icons.at()}<h1>${placeName()}</h1><span class="topic">${store.current === 'guild' ? say('channelTopic') : ''}</span>
    <span class="grow"></span>
    <span class="dot ${store.online ? 'on' : ''}" title=${store.online ? 'online' : 'offline'} role="img" aria-label=${store.online ? 'Bot online' : 'Bot offline'}></span>
    ${store.guide ? html`<a class="ghost" href="/guide/prompt.md${store.theme === 'light' ? '?theme=light' : ''}" target="_blank" rel="noopener" aria-label=${say('memberGuide')} title=${say('memberGuide')} data-testid="guide">${icons.book()}</a>` : nothing}
    <button type="button" class="ghost" aria-label=${say('theme')} data-testid="theme" @click=${() => setTheme(store.theme === 'dark' ? 'light' : 'dark')}>${store.theme === 'dark' ? icons.sun() : icons.moon()}</button>
    <button type="button" class="ghost" aria-label=${say('hood')} aria-pressed=${store.panel.open ? 'true' : 'false'} data-testid="hood" @click=${togglePanel}>${icons.gauge()}</button>
  </header>`;
}
