import { changed, channelId, prepend, store, view } from './store.ts';
import type { Json, PageMessage } from './types.ts';
import { ask, Refused } from './wire.ts';
import { say } from './words.ts';

/** The actions behind clicks. Each waits for the bot's acknowledgement, or until Discord's 3 seconds are over. */

const NOTICE_MS = 8000;

function notice(messageId: string, text: string): void {
  store.notices.set(messageId, text);
  changed();
  setTimeout(() => {
    store.notices.delete(messageId);
    changed();
  }, NOTICE_MS);
}

const words = (error: unknown): string => (error instanceof Refused ? error.message : String(error));

/** Opens a modal in the window that asked for it. */
function afterAnswer(result: Json, where: string): void {
  if (result['callbackType'] === 9 && result['modal'])
    store.modal = {
      opener: result['interactionId'],
      modal: result['modal'],
      channelId: where,
      errors: {},
      busy: false,
    };
}

export const runCommand = (command: string, options: Json): Promise<void> =>
  invoke(`/${command}`, 'run', { command, options });

/** Runs a command of a person's menu. */
export const userCommand = (userId: string, name: string): Promise<void> =>
  invoke(name, 'userCommand', { userId, name });

async function invoke(shown: string, what: string, data: Json): Promise<void> {
  const where = channelId();
  const pending = { key: `${Date.now()}-${Math.random()}`, channelId: where, name: shown, at: Date.now() };
  store.pending.push(pending);
  // A message of one's own is scrolled into view.
  store.atBottom = true;
  changed();
  const drop = (): void => {
    store.pending = store.pending.filter((p) => p !== pending);
  };
  try {
    const result = await ask(what, { ...data, channelId: where });
    if (result['state'] === 'failed') Object.assign(pending, { failed: say('failed') });
    else drop();
    afterAnswer(result, where);
  } catch (error) {
    drop();
    throw error;
  } finally {
    changed();
  }
}

export async function click(message: PageMessage, customId: string, values?: string[]): Promise<void> {
  const key = `${message.id}:${customId}`;
  if (store.busy.has(key)) return;
  store.busy.add(key);
  store.notices.delete(message.id);
  changed();
  try {
    const result = await ask('click', {
      messageId: message.id,
      customId,
      channelId: message.channel_id,
      ...(values ? { values } : {}),
    });
    if (result['state'] === 'failed') notice(message.id, say('failed'));
    afterAnswer(result, message.channel_id);
  } catch (error) {
    notice(message.id, words(error));
  } finally {
    store.busy.delete(key);
    changed();
  }
}

export async function messageCommand(messageId: string, name: string): Promise<void> {
  const where = channelId();
  try {
    const result = await ask('messageCommand', { messageId, name, channelId: where });
    if (result['state'] === 'failed') notice(messageId, say('failed'));
    afterAnswer(result, where);
  } catch (error) {
    notice(messageId, words(error));
  }
  changed();
}

export async function submitModal(fields: Record<string, string | string[]>): Promise<void> {
  const open = store.modal;
  if (!open) return;
  open.busy = true;
  open.errors = {};
  changed();
  try {
    const result = await ask('submit', { opener: open.opener, fields, channelId: open.channelId });
    if (result['state'] === 'failed') open.errors = { '': 'Something went wrong. Try again.' };
    else if (store.modal === open) store.modal = undefined;
    afterAnswer(result, open.channelId);
  } catch (error) {
    open.errors = { [(error instanceof Refused && error.option) || '']: words(error) };
  } finally {
    open.busy = false;
    changed();
  }
}

/** Runs a small action; its failure is shown under the message. */
export async function act(what: string, data: Json): Promise<void> {
  try {
    await ask(what, data);
  } catch (error) {
    if (data['messageId']) notice(data['messageId'], words(error));
  }
}

export async function loadOlder(): Promise<void> {
  const id = channelId();
  const v = view(id);
  const before = v.messages[0]?.id;
  if (v.loading || !v.more || !before) return;
  v.loading = true;
  changed();
  try {
    const page = await ask('older', { channelId: id, before });
    prepend(id, page['messages'], page['more']);
  } catch {
    // The next scroll asks again.
  } finally {
    v.loading = false;
    changed();
  }
}

export async function setLocale(locale: string): Promise<void> {
  await ask('locale', { locale });
  const me = store.users.get(store.me);
  if (me) me.locale = locale;
  document.documentElement.lang = locale;
  changed();
}

export function setTheme(theme: 'dark' | 'light'): void {
  store.theme = theme;
  localStorage.setItem('theme', theme);
  document.documentElement.dataset['theme'] = theme;
  changed();
}
