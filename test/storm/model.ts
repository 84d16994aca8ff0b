import type { MessageView } from '../../playground/index.ts';
import { isGrid, isSingle } from '../support/stack.ts';

/** One interaction that asked for a picture or an answer, and what is known of it when all is over. */
export interface Entry {
  id: string;
  /** In the prompt of its own picture, where it was typed and not clicked. */
  mark: string | undefined;
  state: 'waiting' | 'acknowledged' | 'failed';
  /** Jobs it asked for; more than one with --repeat. */
  repeat: number;
  /** Nobody else may see its answer. */
  hidden: boolean;
  cancelAsked: boolean;
  /** Its message may be gone; nobody waits for that, as a bot that is dead hears no reaction. */
  deleteAsked: boolean;
  /** A bot said in its log that it is in the queue. */
  queued: boolean;
  /** How often a worker began to paint it; 1 for a question that was queued. */
  starts: number;
  /** A bot said in its log that Discord took no word of a failure. */
  untold: boolean;
  /** How often a process or Redis was killed between its click and its end. */
  kills: number;
}

export interface Aftermath {
  entries: readonly Entry[];
  /** Ids of other interactions: what is said to them is for their asker alone. */
  asides: ReadonlySet<string>;
  /** The channel that everybody sees. */
  channelId: string;
  /** All that is there and in direct messages, private answers too. */
  messages: readonly MessageView[];
  /** Keys of reservations, jobs that wait or run, and files of writers that did not finish. */
  reservations: readonly string[];
  queued: number;
  temporary: readonly string[];
  /** The prompt in a picture's own recipe. */
  promptIn(message: MessageView): string | undefined;
}

const isFailed = ({ content }: MessageView): boolean => content.includes('(Failed)');
const isCancelled = ({ content }: MessageView): boolean => content.includes('(Cancelled)');
const isSameWord = (a: MessageView, b: MessageView): boolean =>
  a.ephemeral && b.ephemeral && a.embeds.length > 0 && JSON.stringify(a.embeds) === JSON.stringify(b.embeds);
export const isFinal = (message: MessageView): boolean =>
  isGrid(message) ||
  isSingle(message) ||
  isFailed(message) ||
  isCancelled(message) ||
  (message.ephemeral && !message.loading && message.embeds.length > 0);

const look = (messages: readonly MessageView[]): string =>
  messages
    .map(
      ({ content, ephemeral, attachments, embeds }) =>
        `\n  ${JSON.stringify({ content: content.slice(0, 80), ephemeral, files: attachments.length, embeds })}`,
    )
    .join('');

/** What must be true after whatever happened. @returns what is not, one line each */
export function judge(after: Aftermath): string[] {
  const wrong: string[] = [];
  const say = (id: string, what: string): void => void wrong.push(`${id}: ${what}`);
  const byInteraction = new Map<string | undefined, MessageView[]>();
  for (const message of after.messages)
    byInteraction.set(message.interaction?.id, [
      ...(byInteraction.get(message.interaction?.id) ?? []),
      message,
    ]);
  const known = new Set(after.entries.map(({ id }) => id));

  for (const entry of after.entries) {
    const of = byInteraction.get(entry.id) ?? [];
    // Some of several jobs: a private word says how many, beside the picture of the first.
    const shown = entry.repeat > 1 && of.length === 2 ? of.filter(({ ephemeral }) => !ephemeral) : of;
    // The same private word twice: Discord has no nonce for follow-ups, and the answer to the first was lost.
    const own = shown.filter((one, i) => !shown.slice(0, i).some((earlier) => isSameWord(earlier, one)));
    // Not answered within Discord's 3 s: nothing to see, or, where it was queued all the same, one message.
    if (entry.state === 'waiting') say(entry.id, 'never ended');
    // "Thinking…" that everybody saw was taken back for a private word, which no bot or no Discord was there for.
    const unsaid = !entry.queued && entry.starts === 0 && (entry.kills > 0 || entry.untold);
    const mayBeNone = entry.deleteAsked || unsaid;
    if (entry.state === 'acknowledged' && own.length !== 1 && !(mayBeNone && own.length === 0))
      say(entry.id, `${own.length} messages${look(own)}`);
    if (entry.state === 'failed' && own.length > 1)
      say(entry.id, `${own.length} messages, unacknowledged${look(own)}`);
    for (const message of own) {
      if (entry.hidden && !message.ephemeral && !message.loading && message.channelId === after.channelId)
        say(entry.id, 'was for its asker alone, and is in the channel');
      if (!isFinal(message)) {
        // A bot that was killed between "thinking…" and queueing has promised nothing.
        if (!(message.loading && entry.starts === 0 && entry.kills > 0))
          say(
            entry.id,
            `left as ${JSON.stringify(message.content.slice(0, 80))} after ${entry.starts} starts`,
          );
        continue;
      }
      if (isCancelled(message) && !entry.cancelAsked) say(entry.id, 'cancelled, but nobody asked');
      if (isFailed(message) && entry.kills < 2)
        say(entry.id, `failed after ${entry.starts} starts and ${entry.kills} kills`);
      const painted = after.promptIn(message);
      if (painted !== undefined && entry.mark && !painted.includes(entry.mark))
        say(entry.id, `shows the picture of another: ${painted.slice(0, 80)}`);
    }
  }

  const jobs = new Map<string, string>();
  for (const message of after.messages) {
    const from = message.interaction?.id;
    for (const { filename } of message.attachments) {
      const job = /(\d{15,20}(?:_\d+)?)\.\w+$/.exec(filename)?.[1];
      if (!job) say(message.id, `a file of no job: ${filename}`);
      else if (jobs.has(job)) say(job, `its picture is in two messages, ${jobs.get(job)} and ${message.id}`);
      else jobs.set(job, message.id);
      if (job && !known.has(job.split('_')[0] as string)) say(job, 'a picture that nobody asked for');
    }
    const aside = from !== undefined && after.asides.has(from) && message.ephemeral;
    if (from !== undefined && !known.has(from) && !aside) say(message.id, 'a message that nobody asked for');
    if (from === undefined && !isFinal(message)) say(message.id, 'a further message is left unfinished');
  }
  for (const key of after.reservations) wrong.push(`a reservation is left: ${key}`);
  if (after.queued > 0) wrong.push(`${after.queued} jobs still wait or run`);
  for (const name of after.temporary) wrong.push(`a temporary file is left: ${name}`);
  return wrong;
}
