import type { InteractionHandle } from '../../playground/index.ts';
import { CANARY, ENGLISH, type FaultStack } from '../support/faults.ts';
import type { Random } from '../support/random.ts';

/** One interaction as it was made. */
export interface Asked {
  handle: InteractionHandle;
  /** The user's id. */
  who: string;
  mark: string | undefined;
  repeat: number;
  /** Only its asker may see the answer. */
  hidden: boolean;
  cancelAsked: boolean;
  deleteAsked: boolean;
  at: number;
  endedAt: number | undefined;
}

/** What people find: finished pictures, and jobs that still wait or run. */
export interface Channel {
  finished: Asked[];
  open: Set<Asked>;
  /** Ids of cancels, which are answered in private where they are answered at all. */
  asides: Set<string>;
}

const WORDS = ['a red fox', 'a cloud castle', 'an old harbour', 'two owls', 'snow at night', 'một con mèo'];
const PARAMETERS = ['', '', '', ' --ar 3:2', ' --ar 2:3', ' --seed 7', ' --no trees', ' --quality .5'];
const LABELS = { U: 4, V: 3, '🔄': 2 } as const;
const KINDS = { type: 60, click: 30, twice: 4, describe: 3, cancel: 8, delete: 4 } as const;
/** How a prompt is typed; what is drawn twice excludes the other. */
const WAYS = { plain: 82, repeat: 4, stealth: 5, directly: 4, image: 5 } as const;

/**
 * Does one thing that a person does, drawn from the seed. @returns what asks for an answer and is acknowledged or
 * failed; nothing where it was a cancel or a delete, or a button that is no longer there
 */
export async function act(
  stack: FaultStack,
  channel: Channel,
  random: Random,
  n: number,
  who: string,
): Promise<Asked[]> {
  const { playground } = stack;
  const kind = random.weighted(KINDS);
  if (kind === 'cancel') return cancel(stack, channel, random);
  if (kind === 'delete') return remove(stack, channel, random);
  const asked = async (
    handle: Promise<InteractionHandle>,
    more: Partial<Pick<Asked, 'mark' | 'repeat' | 'hidden'>> = {},
  ): Promise<Asked> => {
    const entry: Asked = {
      handle: await handle,
      who,
      mark: undefined,
      repeat: 1,
      hidden: false,
      ...more,
      cancelAsked: false,
      deleteAsked: false,
      at: performance.now(),
      endedAt: undefined,
    };
    channel.open.add(entry);
    return entry;
  };

  const found = channel.finished.length > 0 ? random.pick(channel.finished) : undefined;
  const message = found?.handle.message;
  const picture = message?.attachments[0]?.data;
  if (kind === 'describe') {
    if (!picture) return [];
    const image = { name: 'what.png', file: picture };
    return [await asked(playground.run(who, 'describe', { image }, ENGLISH), { hidden: true })];
  }
  if (kind !== 'type' && message) {
    const which = random.weighted(LABELS);
    const label = which === '🔄' ? which : `${which}${random.between(1, 4)}`;
    if (!message.buttons.some((button) => button.label === label)) return [];
    const times = kind === 'twice' ? 2 : 1;
    const click = () => asked(playground.click(who, message.id, label, ENGLISH), { hidden: found?.hidden });
    // The second of two may find the message gone.
    const clicks = await Promise.allSettled(Array.from({ length: times }, click));
    const failed = clicks.find((one) => one.status === 'rejected');
    if (failed && failed.reason?.name !== 'ClientRefusal') throw failed.reason;
    return clicks.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  }

  const way = random.weighted(WAYS);
  const mark = `storm ${n} end`;
  const repeat = way === 'repeat' ? random.between(2, 3) : 1;
  const last = way === 'repeat' ? ` --repeat ${repeat}` : way === 'stealth' ? ' --stealth' : '';
  const prompt = `${CANARY.prompt} ${mark} ${random.pick(WORDS)}${random.pick(PARAMETERS)}${last}`;
  const image = way === 'image' && picture ? { image: { name: 'start.png', file: picture } } : {};
  const place = way === 'directly' ? { channelId: playground.dm(who) } : {};
  const typed = playground.run(who, 'imagine', { prompt, ...image }, { ...ENGLISH, ...place });
  return [await asked(typed, { mark, repeat, hidden: way === 'stealth' })];
}

async function cancel({ playground }: FaultStack, channel: Channel, random: Random): Promise<Asked[]> {
  const labelOf = ({ handle }: Asked) =>
    handle.message?.buttons.find(({ label }) => /Cancel|❌/.test(label))?.label;
  const open = [...channel.open].filter(labelOf);
  if (open.length === 0) return [];
  const target = random.pick(open);
  const { message } = target.handle;
  const label = labelOf(target);
  target.cancelAsked = true;
  if (message && label)
    channel.asides.add((await playground.click(target.who, message.id, label, ENGLISH)).id);
  return [];
}

/** ❌ as a reaction of whose it is: stops what still runs after all, else takes the message away. */
function remove({ playground }: FaultStack, channel: Channel, random: Random): Asked[] {
  const shown = channel.finished.filter(({ hidden, deleteAsked }) => !hidden && !deleteAsked);
  if (shown.length === 0) return [];
  const target = random.pick(shown);
  const { message } = target.handle;
  if (!message || message.ephemeral) return [];
  target.cancelAsked = true;
  target.deleteAsked = true;
  playground.react(target.who, message.id, '❌');
  return [];
}
