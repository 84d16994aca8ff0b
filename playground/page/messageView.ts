import { html, nothing } from 'lit';
import { act } from './actions.ts';
import { avatar } from './avatarView.ts';
import { components } from './componentView.ts';
import { embed } from './embedView.ts';
import { emoji } from './emojiView.ts';
import * as icons from './icons.ts';
import { markdown, onlyEmoji } from './markdown.ts';
import { attachments } from './mediaView.ts';
import { changed, messageById, nameOf, store } from './store.ts';
import type { PageMessage, Pending } from './types.ts';
import { locale, say } from './words.ts';

const LOADING = 128;
const GROUP_MS = 7 * 60_000;
const QUICK = ['👍', '❤️', '❌', '✉️'];

function stamp(iso: string): string {
  const date = new Date(iso);
  const today = new Date();
  const time = date.toLocaleTimeString(locale(), { hour: 'numeric', minute: '2-digit' });
  if (date.toDateString() === today.toDateString()) return time;
  return `${date.toLocaleDateString(locale(), { dateStyle: 'short' })} ${time}`;
}

/** A message is drawn joined to the one above it unless it is a reply or much time has passed. */
export function joins(m: PageMessage, above: PageMessage | undefined): boolean {
  if (!above || m.by || m['message_reference'] || m.only !== above.only) return false;
  if (m.author.id !== above.author.id || above.by) return false;
  const [a, b] = [new Date(above.timestamp), new Date(m.timestamp)];
  return b.getTime() - a.getTime() < GROUP_MS && a.toDateString() === b.toDateString();
}

export function jumpTo(id: string): void {
  const target = document.getElementById(`m-${id}`);
  target?.scrollIntoView({
    block: 'center',
    behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth',
  });
  target?.classList.add('flash');
  setTimeout(() => target?.classList.remove('flash'), 1500);
}

/** Content without block markup: quotes, headings, small print. */
const inOneLine = (content: string): string =>
  content
    .slice(0, 200)
    .replace(/^(?:-#|#{1,3}|>>>|>) +/gm, '')
    .replace(/\n/g, ' ');

/** The line above a message: who used which command, or which message it replies to. */
function context(m: PageMessage) {
  if (m.by && m.by.type === 2)
    return html`<div class="context" data-testid="command-header">
      <span class="spine" aria-hidden="true"></span>${avatar(m.by.userId, 16, 'mini')}<span class="who">${nameOf(m.by.userId)}</span>
      <span class="faint">${say('used')}</span> <span class="command">${m['type'] === 23 ? '' : '/'}${m.by.name}</span>
    </div>`;
  const reference = m['message_reference'];
  if (!reference) return nothing;
  const target = messageById(reference.message_id) ?? m['referenced_message'];
  return html`<button type="button" class="context jump" @click=${() => jumpTo(reference.message_id)} data-testid="reply-line">
    <span class="spine" aria-hidden="true"></span>
    ${
      target
        ? html`${avatar(target.author.id, 16, 'mini')}<span class="who">${nameOf(target.author.id)}</span>
          <span class="quote">${target.content ? markdown(inOneLine(target.content), { inline: true }) : html`<em>${say('seeAttachment')}</em>`}</span>
          ${target.attachments?.length ? icons.image() : nothing}`
        : html`<span class="quote"><em>${say('deleted')}</em></span>`
    }
  </button>`;
}

function openMenu(e: Event, of: { messageId: string } | { userId: string }): void {
  e.preventDefault();
  e.stopPropagation();
  const box = (e.currentTarget as HTMLElement).getBoundingClientRect();
  const mouse = e instanceof MouseEvent && e.clientX > 0 ? e : undefined;
  store.menu = {
    x: mouse?.clientX ?? box.left,
    y: mouse?.clientY ?? box.bottom,
    ...of,
    level: 'main',
  };
  changed();
}

function toolbar(m: PageMessage) {
  return html`<div class="toolbar">
    ${m.only ? nothing : QUICK.map((e) => html`<button type="button" aria-label="${say('react')} ${e}" @click=${() => void act('react', { messageId: m.id, emoji: e })}>${emoji(e)}</button>`)}
    <button type="button" aria-label=${say('reply')} @click=${() => startReply(m.id)}>${icons.reply()}</button>
    <button type="button" aria-label="More" aria-haspopup="menu" @click=${(e: Event) => openMenu(e, { messageId: m.id })}>${icons.dots()}</button>
  </div>`;
}

export function startReply(id: string): void {
  store.replyTo = id;
  changed();
  document.querySelector<HTMLTextAreaElement>('[data-testid=composer]')?.focus();
}

function content(m: PageMessage) {
  if (m.flags & LOADING)
    return html`<div class="thinking" data-testid="thinking"><span class="pulse" aria-hidden="true"><i></i><i></i><i></i></span>${say('thinking', { name: nameOf(m.author.id) })}</div>`;
  if (!m.content) return nothing;
  const edited = m.edited_timestamp
    ? html` <span class="edited" title=${new Date(m.edited_timestamp).toLocaleString(locale())}>${say('edited')}</span>`
    : nothing;
  return html`<div class="markup ${onlyEmoji(m.content) ? 'jumbo' : ''}">${markdown(m.content, { links: m.author.bot })}${edited}</div>`;
}

export function message(m: PageMessage, joined: boolean) {
  const name = nameOf(m.author.id);
  const part = store.users.get(m.author.id)?.part;
  const notice = store.notices.get(m.id);
  return html`<li id="m-${m.id}" class="message ${joined ? 'joined' : 'first'} ${m.mentionsMe ? 'highlight' : ''} ${m.only ? 'only' : ''}"
      data-testid="message" data-message-id=${m.id} data-author=${m.author.username} data-ephemeral=${m.only ? 'true' : 'false'}
      @contextmenu=${(e: Event) => openMenu(e, { messageId: m.id })}>
    <article aria-label="${name}, ${stamp(m.timestamp)}">
      ${joined ? nothing : context(m)}
      ${joined ? html`<time class="side-time" datetime=${m.timestamp}>${new Date(m.timestamp).toLocaleTimeString(locale(), { hour: 'numeric', minute: '2-digit' })}</time>` : avatar(m.author.id, 40)}
      <div class="body">
        ${joined ? nothing : html`<header><button type="button" class="name ${part ?? ''}" aria-haspopup="menu" data-testid="author" @click=${(e: Event) => openMenu(e, { userId: m.author.id })} @contextmenu=${(e: Event) => openMenu(e, { userId: m.author.id })}>${name}</button>${m.author.bot ? html`<span class="badge">${icons.check()}${say('app')}</span>` : nothing}<time datetime=${m.timestamp}>${stamp(m.timestamp)}</time></header>`}
        ${content(m)}
        ${attachments(m.attachments)}
        ${m.embeds.map((e) => embed(e))}
        ${components(m)}
        ${
          m.reactions.length
            ? html`<div class="reactions">${m.reactions.map(
                (
                  r,
                ) => html`<button type="button" class="reaction ${r.mine ? 'mine' : ''}" aria-pressed=${r.mine ? 'true' : 'false'} title=${r.users.map(nameOf).join(', ')}
                  @click=${() => void act('react', { messageId: m.id, emoji: r.emoji })}>${emoji(r.emoji)} ${r.count}</button>`,
              )}</div>`
            : nothing
        }
        ${notice ? html`<div class="notice" role="alert" data-testid="notice">${icons.warn()} ${notice}</div>` : nothing}
        ${m.only ? html`<div class="ephemeral" data-testid="ephemeral">${icons.eye()} ${say('onlyYou')} • <button type="button" class="linklike" @click=${() => void act('remove', { messageId: m.id })}>${say('dismiss')}</button></div>` : nothing}
      </div>
      ${toolbar(m)}
    </article>
  </li>`;
}

/** A command that waits for its answer, or got none. */
export function pendingMessage(p: Pending) {
  const bot = [...store.users.values()].find((u) => u.bot);
  const drop = (): void => {
    store.pending = store.pending.filter((x) => x !== p);
    changed();
  };
  return html`<li class="message first only" data-testid="pending"><article>
    <div class="context"><span class="spine" aria-hidden="true"></span>${avatar(store.me, 16, 'mini')}<span class="who">${nameOf(store.me)}</span> <span class="faint">${say('used')}</span> <span class="command">${p.name}</span></div>
    ${bot ? avatar(bot.id, 40) : nothing}
    <div class="body"><header><span class="name">${bot?.name}</span><span class="badge">${icons.check()}${say('app')}</span></header>
      ${
        p.failed
          ? html`<div class="notice" role="alert" data-testid="failed">${icons.warn()} ${p.failed}</div>
            <div class="ephemeral">${icons.eye()} ${say('onlyYou')} • <button type="button" class="linklike" @click=${drop}>${say('dismiss')}</button></div>`
          : html`<div class="thinking">${say('sending')}</div>`
      }</div></article></li>`;
}
