import type { InteractionHandle, PersonName } from '../../playground/index.ts';
import type { FaultStack } from '../support/faults.ts';
import type { Random } from '../support/random.ts';

/** One interaction as it was made. */
export interface Asked {
  handle: InteractionHandle;
  who: PersonName;
  mark: string | undefined;
  repeat: number;
  cancelAsked: boolean;
  at: number;
  endedAt: number | undefined;
}

/** What people find in the channel: messages with a picture, and jobs that still wait or run. */
export interface Channel {
  finished: string[];
  open: Set<Asked>;
}

const PEOPLE: readonly PersonName[] = ['member', 'stranger', 'moderator', 'owner'];
const WORDS = ['a red fox', 'a cloud castle', 'an old harbour', 'two owls', 'snow at night', 'một con mèo'];
const PARAMETERS = ['', '', '', ' --ar 3:2', ' --ar 2:3', ' --seed 7', ' --no trees', ' --quality .5'];
const LABELS = { U: 4, V: 3, '🔄': 2 } as const;
const ENGLISH = { locale: 'en-US' } as const;

/**
 * Does one thing that people do, drawn from the seed. @returns what asks for pictures and is acknowledged or
 * failed; nothing where it was a cancel, or a button that is no longer there
 */
export async function act(stack: FaultStack, channel: Channel, random: Random, n: number): Promise<Asked[]> {
  const who = random.pick(PEOPLE);
  const what = random.weighted({
    type: 60,
    click: channel.finished.length > 0 ? 30 : 0,
    twice: 4,
    cancel: 8,
  });
  if (what === 'cancel') return cancel(stack, channel, random);
  const asked = (handle: InteractionHandle, mark?: string, repeat = 1): Asked => {
    const entry = {
      handle,
      who,
      mark,
      repeat,
      cancelAsked: false,
      at: performance.now(),
      endedAt: undefined,
    };
    channel.open.add(entry);
    return entry;
  };
  const settled = async (handles: Promise<InteractionHandle>[]): Promise<Asked[]> =>
    (await Promise.all(handles)).map((handle) => asked(handle));

  if (what !== 'type' && channel.finished.length > 0) {
    const message = stack.playground.message(random.pick(channel.finished));
    const kind = random.weighted(LABELS);
    const label = kind === '🔄' ? kind : `${kind}${random.between(1, 4)}`;
    if (!message?.buttons.some((button) => button.label === label)) return [];
    const times = what === 'twice' ? 2 : 1;
    return settled(Array.from({ length: times }, () => stack.press(message, label, who)));
  }
  const mark = `storm ${n} end`;
  const repeat = random.next() < 0.04 ? random.between(2, 3) : 1;
  const prompt = `${mark} ${random.pick(WORDS)}${random.pick(PARAMETERS)}${repeat > 1 ? ` --repeat ${repeat}` : ''}`;
  return [asked(await stack.imagine(prompt, who), mark, repeat)];
}

async function cancel(stack: FaultStack, channel: Channel, random: Random): Promise<Asked[]> {
  const open = [...channel.open].filter(({ handle }) =>
    handle.message?.buttons.some(({ label }) => label.includes('Cancel') || label.includes('❌')),
  );
  if (open.length === 0) return [];
  const target = random.pick(open);
  target.cancelAsked = true;
  const { message } = target.handle;
  const label = message?.buttons.find(({ label }) => /Cancel|❌/.test(label))?.label;
  if (message && label)
    await stack.playground.click(stack.playground.users[target.who], message.id, label, ENGLISH);
  return [];
}
