import '@skyra/discord-components-core/discord-embed.js';
import '@skyra/discord-components-core/discord-mention.js';
import '@skyra/discord-components-core/discord-spoiler.js';
import { html, nothing, render } from 'lit';
import { setTheme } from './actions.ts';
import { addFiles } from './composer.ts';
import { composerView } from './composerView.ts';
import { list, settle, watchSize } from './listView.ts';
import { closeLightbox, lightbox } from './mediaView.ts';
import { closeMenu, menu } from './menuView.ts';
import { closeModal, modal } from './modalView.ts';
import { panel } from './panelView.ts';
import { closeSelect } from './selectView.ts';
import { side, topBar } from './sideView.ts';
import { changed, onChange, store, view } from './store.ts';
import { connect } from './wire.ts';
import { say } from './words.ts';
import './componentTheme.ts';

const root = document.getElementById('app')!;
let focusedDialog: Element | null = null;
let before: Element | null = null;

/** An opened dialog takes the focus and gives it back when it closes. */
function moveFocus(): void {
  const dialog = document.querySelector('[role=dialog], [role=menu]');
  if (dialog === focusedDialog) return;
  if (dialog) {
    if (!focusedDialog) before = document.activeElement;
    dialog.querySelector<HTMLElement>('[autofocus], textarea, input, [role=menuitem], button')?.focus();
  } else if (!document.activeElement || document.activeElement === document.body) {
    // Only where the focus was not moved elsewhere meanwhile.
    (before as HTMLElement | null)?.focus?.();
  }
  focusedDialog = dialog;
}

/** Tab stays inside an open dialog. */
function trap(e: KeyboardEvent): void {
  const dialog = document.querySelector('[role=dialog]');
  if (e.key !== 'Tab' || !dialog) return;
  const stops = [...dialog.querySelectorAll<HTMLElement>('button, a[href], input, textarea, select')].filter(
    (el) => !el.hasAttribute('disabled'),
  );
  const edge = e.shiftKey ? stops[0] : stops.at(-1);
  if (document.activeElement !== edge && dialog.contains(document.activeElement)) return;
  e.preventDefault();
  (e.shiftKey ? stops.at(-1) : stops[0])?.focus();
}

/** Escape closes what was opened last, even before it has the focus: a quick key comes before the next frame. */
function shutLast(e: KeyboardEvent): void {
  const dialog = document.querySelector('[role=dialog], [role=menu]');
  if (e.key !== 'Escape' || dialog?.contains(document.activeElement)) return;
  if (store.menu) closeMenu();
  else if (store.lightbox) closeLightbox();
  else if (store.modal) closeModal();
  else return;
  e.preventDefault();
  e.stopPropagation();
}

function page() {
  return html`${side()}
    <main class="main">
      ${topBar()}
      ${store.everConnected && !store.connected ? html`<div class="offline" role="status" data-testid="offline">${say('reconnecting')}</div>` : nothing}
      ${list()}
      ${composerView()}
    </main>
    ${panel()} ${modal()} ${menu()} ${lightbox()}`;
}

onChange(() => {
  if (!store.everConnected) return;
  render(page(), root);
  settle();
  moveFocus();
});

document.documentElement.dataset['theme'] = store.theme;
setTheme(store.theme);
root.replaceChildren();
connect();

const observe = setInterval(() => {
  if (!document.querySelector('.scroller > ol')) return;
  clearInterval(observe);
  watchSize();
}, 50);

addEventListener('focus', () => {
  const v = view();
  v.readUpTo = v.messages.at(-1)?.id;
});
/** Whether an element uses letters itself: fields, lists, and dialogs over the page. */
const takesKeys = (el: Element | null): boolean =>
  el?.closest(
    'input, textarea, select, [contenteditable], dialog, [role=dialog], [role=menu], [role=listbox], [role=combobox]',
  ) != null;

addEventListener('keydown', shutLast, { capture: true });
addEventListener('keydown', (e) => {
  trap(e);
  // Typing anywhere goes to the command line, also when a button has the focus; a space presses that.
  if (
    e.key.length === 1 &&
    e.key !== ' ' &&
    !e.ctrlKey &&
    !e.metaKey &&
    !e.altKey &&
    !takesKeys(document.activeElement)
  )
    document.querySelector<HTMLTextAreaElement>('[data-testid=composer]')?.focus();
});
addEventListener('dragover', (e) => e.preventDefault());
addEventListener('drop', (e) => {
  e.preventDefault();
  const files = [...(e.dataTransfer?.files ?? [])];
  if (files.length) addFiles(files);
});
addEventListener('click', (e) => {
  if (store.sidebar && !(e.target as Element).closest('.side, .burger')) {
    store.sidebar = false;
    changed();
  }
  if (store.openSelect && !(e.target as Element).closest('.select')) closeSelect();
});
