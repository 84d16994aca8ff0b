import { DiscordAPIError, type RawFile, type REST, Routes } from 'discord.js';
import type { Asker } from '../app.ts';

/**
 * One interaction's acknowledgement. Discord wants it within 3 s and takes it once, so the first of two, the
 * handler or the defer timer, acknowledges, and the other edits. Requests go out as plain REST without the
 * bot's token: an expired interaction then cannot make the client drop it.
 *
 * - `message`: the answer is a new message that everyone sees
 * - `private`: the answer is seen by the asker alone
 * - `update`: the message with the button changes, or stays where nothing is sent
 * - `modal`: a form opens; Discord allows no delay before one
 */
export type AnswerKind = 'message' | 'private' | 'update' | 'modal';

const CALLBACK = { reply: 4, defer: 5, deferUpdate: 6, update: 7, modal: 9 } as const;
const EPHEMERAL = 1 << 6;
const LOADING = 1 << 7;
const ALREADY_ACKNOWLEDGED = 40060;
const UNKNOWN_MESSAGE = 10008;

/** `taken`: acknowledged by another bot process, or by this one with Discord's response lost. */
type State = 'open' | 'deferred' | 'sent' | 'taken';

export interface Answer {
  readonly state: State;
  /** Acknowledges without content; does nothing where the interaction is acknowledged already. */
  defer(): Promise<void>;
  /** Makes a public answer private to the asker; gives false where a public one is sent or deferred. */
  hide(): Promise<boolean>;
  /** Shows the answer; gives the id of the message that carries it. */
  send(payload: object, files?: readonly RawFile[]): Promise<string | undefined>;
  /** As `send`, but a deferral that came first is not edited: the worker edits it. */
  sendUnlessDeferred(payload: object): Promise<string | undefined>;
  /** Deletes the answer's message. */
  retract(): Promise<void>;
  openModal(modal: object): Promise<void>;
  /** Shows a message to the asker alone, in any state of the answer. */
  tell(payload: object): Promise<void>;
  /** One more message for the asker alone, after the answer; gives its id. */
  whisper(payload: object, files?: readonly RawFile[]): Promise<string>;
}

const isCode = (error: unknown, code: number): boolean =>
  error instanceof DiscordAPIError && error.code === code;

export function openAnswer(rest: REST, asker: Asker, planned: AnswerKind): Answer {
  let kind = planned;
  let state: State = 'open';
  let busy: Promise<unknown> = Promise.resolve();
  const original = Routes.webhookMessage(asker.applicationId, asker.token, '@original');

  async function callback(
    type: number,
    data?: object,
    files: readonly RawFile[] = [],
  ): Promise<string | undefined> {
    try {
      const answer = (await rest.post(Routes.interactionCallback(asker.interactionId, asker.token), {
        body: data ? { type, data } : { type },
        ...(files.length > 0 ? { files: [...files] } : {}),
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

  /** Requests go one at a time: a deferral under way ends before the answer chooses reply or edit. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = busy.then(work, work);
    busy = turn.catch(() => undefined);
    return turn;
  }

  const edit = async (payload: object, files: readonly RawFile[] = []): Promise<string> => {
    const sent = files.length > 0 ? { files: [...files] } : {};
    return ((await rest.patch(original, { body: payload, auth: false, ...sent })) as { id: string }).id;
  };

  const idOfOriginal = async (): Promise<string | undefined> =>
    ((await rest.get(original, { auth: false }).catch(() => undefined)) as { id: string } | undefined)?.id;

  /** Whether "thinking…" is shown, by this process or another bot's; a failure must replace it. */
  const isThinking = async (): Promise<boolean> => {
    const shown = (await rest.get(original, { auth: false }).catch(() => undefined)) as
      | { flags?: number }
      | undefined;
    return ((shown?.flags ?? 0) & LOADING) !== 0;
  };

  const reply = async (payload: object, files: readonly RawFile[] = []): Promise<string | undefined> => {
    const body = kind === 'private' ? { ...payload, flags: EPHEMERAL } : payload;
    const type = kind === 'update' ? CALLBACK.update : CALLBACK.reply;
    return (await callback(type, body, files)) ?? (await idOfOriginal());
  };

  const whisper = async (payload: object, files: readonly RawFile[] = []): Promise<string> => {
    const body = { ...payload, flags: EPHEMERAL };
    const route = Routes.webhook(asker.applicationId, asker.token);
    const sent = files.length > 0 ? { files: [...files] } : {};
    return ((await rest.post(route, { body, auth: false, ...sent })) as { id: string }).id;
  };

  /** Deletes the answer's message; one that is gone already (a repeated or lost deletion) is no error. */
  const takeBack = async (): Promise<void> => {
    await rest.delete(original, { auth: false }).catch((error: unknown) => {
      if (!isCode(error, UNKNOWN_MESSAGE)) throw error;
    });
    state = 'sent';
  };

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
    hide: () =>
      inTurn(async () => {
        if (state === 'open' && kind === 'message') kind = 'private';
        return kind === 'private';
      }),
    send: (payload, files) =>
      inTurn(async () => {
        if (state === 'open') return reply(payload, files);
        if (state === 'taken') return idOfOriginal();
        const id = await edit(payload, files);
        state = 'sent';
        return id;
      }),
    sendUnlessDeferred: (payload) => inTurn(async () => (state === 'open' ? reply(payload) : idOfOriginal())),
    retract: () => inTurn(takeBack),
    openModal: (modal) => inTurn(async () => void (await callback(CALLBACK.modal, modal))),
    tell: (payload) =>
      inTurn(async () => {
        if (state === 'taken' && !(await isThinking())) return;
        if (state === 'open') {
          await callback(CALLBACK.reply, { ...payload, flags: EPHEMERAL });
          return;
        }
        const deferred = state === 'deferred' || state === 'taken';
        if (deferred && kind === 'private') {
          await edit(payload);
          return;
        }
        // A public "thinking…" is deleted first: the first follow-up would replace it and be public.
        if (deferred && kind === 'message') await takeBack();
        await whisper(payload);
      }),
    whisper: (payload, files) => inTurn(() => whisper(payload, files)),
  };
}
