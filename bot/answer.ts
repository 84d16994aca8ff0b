import { DiscordAPIError, type REST, Routes } from 'discord.js';
import type { Asker } from './app.ts';

/**
 * One interaction's acknowledgement. Discord wants it within 3 s and takes it once, so whoever is first, the
 * handler or the clock, acknowledges, and the other one edits. Requests go out as plain REST without the
 * bot's token: an expired interaction then cannot make the client drop it.
 *
 * - `message`: the answer is a new message that everyone sees
 * - `private`: the answer is seen by the asker alone
 * - `update`: there is nothing new to show; the message with the button stays
 * - `modal`: a form opens; Discord allows no delay before one
 */
export type AnswerKind = 'message' | 'private' | 'update' | 'modal';

const CALLBACK = { reply: 4, defer: 5, deferUpdate: 6, modal: 9 } as const;
const EPHEMERAL = 1 << 6;
const ALREADY_ACKNOWLEDGED = 40060;

/** `taken`: acknowledged by a twin of ours, or by us with the answer lost on the way. */
type State = 'open' | 'deferred' | 'sent' | 'taken';

export interface Answer {
  readonly state: State;
  /** Acknowledges without content, if nothing did yet. */
  defer(): Promise<void>;
  /** Shows the answer; gives the id of the message that carries it. */
  send(payload: object): Promise<string | undefined>;
  /** As `send`, but a deferral that came first is left alone: someone else edits it by now. */
  sendUnlessDeferred(payload: object): Promise<string | undefined>;
  /** Takes the answer back. */
  retract(): Promise<void>;
  openModal(modal: object): Promise<void>;
  /** Tells the asker alone, whatever was shown before. */
  tell(payload: object): Promise<void>;
}

const isCode = (error: unknown, code: number): boolean =>
  error instanceof DiscordAPIError && error.code === code;

export function openAnswer(rest: REST, asker: Asker, kind: AnswerKind): Answer {
  let state: State = 'open';
  let busy: Promise<unknown> = Promise.resolve();
  const original = Routes.webhookMessage(asker.applicationId, asker.token, '@original');

  async function callback(type: number, data?: object): Promise<string | undefined> {
    try {
      const answer = (await rest.post(Routes.interactionCallback(asker.interactionId, asker.token), {
        body: data ? { type, data } : { type },
        query: new URLSearchParams({ with_response: 'true' }),
        auth: false,
      })) as { resource?: { message?: { id: string } } } | undefined;
      state = type === CALLBACK.defer || type === CALLBACK.deferUpdate ? 'deferred' : 'sent';
      return answer?.resource?.message?.id;
    } catch (error) {
      if (!isCode(error, ALREADY_ACKNOWLEDGED)) throw error;
      state = 'taken';
      return undefined;
    }
  }

  /** One at a time: a deferral under way ends before the answer decides how to go out. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = busy.then(work, work);
    busy = turn.catch(() => undefined);
    return turn;
  }

  const edit = async (payload: object): Promise<string> =>
    ((await rest.patch(original, { body: payload, auth: false })) as { id: string }).id;

  const idOfOriginal = async (): Promise<string | undefined> =>
    ((await rest.get(original, { auth: false }).catch(() => undefined)) as { id: string } | undefined)?.id;

  const reply = async (payload: object): Promise<string | undefined> => {
    const body = kind === 'private' ? { ...payload, flags: EPHEMERAL } : payload;
    return (await callback(CALLBACK.reply, body)) ?? (await idOfOriginal());
  };

  const whisper = (payload: object): Promise<unknown> =>
    rest.post(Routes.webhook(asker.applicationId, asker.token), {
      body: { ...payload, flags: EPHEMERAL },
      auth: false,
    });

  return {
    get state() {
      return state;
    },
    defer: () =>
      inTurn(async () => {
        if (state !== 'open' || kind === 'modal') return;
        if (kind === 'update') await callback(CALLBACK.deferUpdate);
        else await callback(CALLBACK.defer, kind === 'private' ? { flags: EPHEMERAL } : {});
      }),
    send: (payload) =>
      inTurn(async () => {
        if (state === 'open') return reply(payload);
        if (state === 'taken') return idOfOriginal();
        const id = await edit(payload);
        state = 'sent';
        return id;
      }),
    sendUnlessDeferred: (payload) => inTurn(async () => (state === 'open' ? reply(payload) : idOfOriginal())),
    retract: () =>
      inTurn(async () => {
        await rest.delete(original, { auth: false });
        state = 'sent';
      }),
    openModal: (modal) => inTurn(async () => void (await callback(CALLBACK.modal, modal))),
    tell: (payload) =>
      inTurn(async () => {
        if (state === 'taken') return;
        if (state === 'open') {
          await callback(CALLBACK.reply, { ...payload, flags: EPHEMERAL });
          return;
        }
        if (state === 'deferred' && kind === 'private') {
          await edit(payload);
          return;
        }
        // A public "thinking…" must go first: the first follow-up would take its place, for all to see.
        if (state === 'deferred' && kind === 'message') await rest.delete(original, { auth: false });
        await whisper(payload);
      }),
  };
}
