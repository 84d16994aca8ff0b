import { ButtonStyle, ComponentType } from 'discord-api-types/v10';
import { type MessageParams, say, sayError } from '../messages/index.ts';
import { printCustomId } from './customId.ts';
import { escapeMarkdown, type Payload, type Row } from './jobMessage.ts';

/** The answers of `/describe` and `/shorten`: pure, data in, message payload out. */
const NUMBERS = ['1️⃣', '2️⃣', '3️⃣', '4️⃣', '5️⃣'] as const;
const RED = 0xed4245;
/** Five of these and the words above them stay below an embed's 4,096. */
const LINE_MAX = 500;
const WORDS_MAX = 1500;

interface Asked {
  id: string;
  locale: string;
}

/** Answer of /describe: the prompts, each with a button. */
export const presentDescribed = ({
  id,
  locale,
  prompts,
}: Asked & { prompts: readonly string[] }): Payload => ({
  content: '',
  embeds: [{ title: say(locale, 'describe.title'), description: lines(prompts) }],
  components: rows(id, locale, prompts.length),
  allowed_mentions: { parse: [] },
});

/** Answer of /shorten: words of weight ≥ 0.5 bold, ≤ 0.1 struck through, as Midjourney shows them. */
export function presentShortened({
  id,
  locale,
  words,
  prompts,
}: Asked & { words: readonly { text: string; weight: number }[]; prompts: readonly string[] }): Payload {
  const marked: string[] = [];
  let length = 0;
  for (const { text, weight } of words) {
    const plain = escapeMarkdown(text);
    const shown = weight >= HEAVY ? `**${plain}**` : weight <= LIGHT ? `~~${plain}~~` : plain;
    length += shown.length + 1;
    if (length > WORDS_MAX) {
      marked.push('…');
      break;
    }
    marked.push(shown);
  }
  const description = [
    `**${say(locale, 'shorten.words')}**\n${marked.join(' ')}`,
    ...(prompts.length > 0 ? [`**${say(locale, 'shorten.prompts')}**\n${lines(prompts)}`] : []),
  ].join('\n\n');
  return {
    content: '',
    embeds: [{ title: say(locale, 'shorten.title'), description }],
    components: rows(id, locale, prompts.length),
    allowed_mentions: { parse: [] },
  };
}

const HEAVY = 0.5;
const LIGHT = 0.1;

/** Why a question of /describe or /shorten failed. */
export function presentAskFailure({
  locale,
  code,
  params,
}: {
  locale: string;
  code: string;
  params: MessageParams;
}): Payload {
  const { title, text } = sayError(locale, code, params, 'failed');
  return {
    content: '',
    embeds: [{ title, description: text, color: RED }],
    components: [],
    allowed_mentions: { parse: [] },
  };
}

const lines = (prompts: readonly string[]): string =>
  prompts.map((prompt, i) => `${NUMBERS[i]} ${cut(escapeMarkdown(prompt))}`).join('\n\n');

const cut = (text: string): string =>
  text.length <= LINE_MAX ? text : `${text.slice(0, LINE_MAX - 2).replace(/\\+$/, '')}…`;

function rows(id: string, locale: string, count: number): Row[] {
  if (count === 0) return [];
  const numbers = Array.from({ length: count }, (_, value) => ({
    type: ComponentType.Button as const,
    style: ButtonStyle.Secondary as const,
    emoji: { name: NUMBERS[value] as string },
    custom_id: printCustomId({ action: 'suggest', index: 0, jobId: id, value }),
  }));
  const all = {
    type: ComponentType.Button as const,
    style: ButtonStyle.Secondary as const,
    emoji: { name: '🎉' },
    label: say(locale, 'suggest.all'),
    custom_id: printCustomId({ action: 'suggest-all', index: 0, jobId: id }),
  };
  return [
    { type: ComponentType.ActionRow, components: numbers },
    { type: ComponentType.ActionRow, components: [all] },
  ];
}
