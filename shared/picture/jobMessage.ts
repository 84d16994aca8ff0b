import {
  type APIActionRowComponent,
  type APIButtonComponent,
  type APIEmbed,
  ButtonStyle,
  ComponentType,
} from 'discord-api-types/v10';
import { type MessageKey, type MessageParams, say, sayDuration, sayError } from '../messages/index.ts';
import type { Compare, RenderRequest, RenderResult } from '../queue/job.ts';
import { type ButtonAction, printCustomId } from './customId.ts';

/**
 * A job's message on Discord: pure, data in, message payload out (Discord's REST JSON). Bot and worker use
 * it, the bot for the acknowledgement and the worker for every later edit, so a message has one look.
 *
 * Every payload says `allowed_mentions` again, because an edit without it pings users that the prompt names.
 */
export type Row = APIActionRowComponent<APIButtonComponent>;
export interface Payload {
  content: string;
  embeds?: APIEmbed[];
  components: Row[];
  allowed_mentions: { parse: []; users?: string[] };
  /** The files that stay on the message; absent = leave the files as they are. */
  attachments?: { id: number | string; filename?: string; description?: string }[];
  flags?: number;
}

const CONTENT_MAX = 2000;
const ALT_MAX = 1024;
const RED = 0xed4245;

interface Subject {
  render: RenderRequest;
  locale: string;
}
/** Fields for a message's first line; of a job of another version no more are known. */
type Headed = Pick<RenderRequest, 'jobId' | 'prompt' | 'action' | 'parent'> & { user: { id: string } };

/** `**prompt** - <@user> (Waiting to start)`, and under it the place in line and an honest wait. */
export function presentQueued({
  render,
  locale,
  ahead,
  waitMs,
  nobody = false,
}: Subject & {
  ahead?: number | undefined;
  waitMs?: number | undefined;
  /** No worker announces itself: the job waits for one. */
  nobody?: boolean | undefined;
}): Payload {
  const facts = [
    ...(nobody ? [say(locale, 'line.nobody')] : []),
    ...(ahead === undefined
      ? []
      : [ahead === 0 ? say(locale, 'line.next') : say(locale, 'line.ahead', { n: ahead })]),
    ...(waitMs === undefined ? [] : [say(locale, 'line.wait', { time: sayDuration(locale, waitMs) })]),
  ];
  return {
    content: headline(render, locale, say(locale, 'status.waiting'), small(facts)),
    components: [cancelRow(render, locale)],
    allowed_mentions: { parse: [] },
  };
}

/** `(31%)`; with a preview, the one file is `preview.webp`. */
export function presentProgress({
  render,
  locale,
  percent,
  preview,
  stage,
  preparing,
}: Subject & {
  percent: number;
  preview: boolean;
  /** Of models that paint in stages. */
  stage?: 'prior' | 'decoder' | 'super-resolution' | undefined;
  /** A LoRA that is merged into the weights before painting begins. */
  preparing?: string | undefined;
}): Payload {
  const shown = Math.max(0, Math.min(99, Math.floor(percent)));
  const status = preparing
    ? say(locale, 'status.preparing', { name: escapeMarkdown(preparing).slice(0, 80) })
    : stage
      ? say(locale, 'status.stage', { percent: shown, stage: say(locale, `stage.${stage}`) })
      : say(locale, 'status.percent', { percent: shown });
  return {
    content: headline(render, locale, withLane(status, render, locale)),
    components: [cancelRow(render, locale)],
    allowed_mentions: { parse: [] },
    ...(preview
      ? { attachments: [{ id: 0, filename: 'preview.webp', description: altText(render.prompt) }] }
      : {}),
  };
}

/** The grid with U, V and 🔄, or one picture with its seed and its buttons. */
export function presentResult({
  render,
  result,
  locale,
  ping,
  fileName,
}: Subject & { result: RenderResult; ping: boolean; fileName: string }): Payload {
  const single = result.pictures.length === 1;
  const facts = single
    ? [
        say(locale, 'picture.facts', {
          seed: result.recipe.seed,
          width: result.width,
          height: result.height,
          model: escapeMarkdown(result.recipe.model),
        }),
      ]
    : [];
  const { flagged, safety } = result;
  const strengths = result.recipe.meaning?.reword?.strengths;
  if (strengths && !single) {
    const each = strengths.map((strength, i) => `${i + 1} = ${Math.round(100 * strength)} %`).join(' · ');
    facts.push(say(locale, 'reword.strengths', { strengths: each }));
  }
  if (flagged && safety) facts.push(say(locale, `safety.${safety}`, { n: flagged.length }));
  return {
    content: headline(render, locale, withLane('', render, locale), small(facts)),
    components: single ? singleRows(render.jobId, locale, result) : gridRows(render.jobId, locale, result),
    allowed_mentions: mentions(render, ping),
    attachments: [{ id: 0, filename: fileName, description: altText(render.prompt) }],
  };
}

/** All pictures of a /compare side by side, numbered; each has its buttons on a message of its own. */
export function presentSheet({
  render,
  compare: { prompt, labels },
  locale,
  fileName,
}: Subject & { compare: Compare; fileName: string }): Payload {
  const legend = labels.map((label, i) => `**${i + 1}** ${escapeMarkdown(label)}`).join(' · ');
  const after = `** - ${say(locale, 'title.compare', { user: `<@${render.user.id}>` })}\n-# ${legend}`;
  return {
    content: `**${cutEscaped(prompt, CONTENT_MAX - 2 - after.length)}${after}`,
    components: [],
    allowed_mentions: { parse: [] },
    attachments: [
      {
        id: 0,
        filename: fileName,
        description: `${altText(prompt).slice(0, 200)}: ${legend}`.slice(0, ALT_MAX),
      },
    ],
  };
}

/** A failed job: its message says why and offers 🔄. */
export function presentFailure({
  render,
  locale,
  code,
  params,
  ping,
}: {
  render: Headed;
  locale: string;
  code: string;
  params: MessageParams;
  ping: boolean;
}): Payload {
  const { title, text } = sayError(locale, code, params, 'failed');
  return {
    content: headline(render, locale, say(locale, 'status.failed')),
    embeds: [{ title, description: text, color: RED }],
    components: [row(button('reroll', 0, render.jobId, { emoji: '🔄', label: say(locale, 'button.again') }))],
    allowed_mentions: mentions(render, ping),
    attachments: [],
  };
}

/** The message of a cancelled job: no buttons, no files. */
export function presentCancelled({ render, locale }: Subject): Payload {
  return {
    content: headline(render, locale, say(locale, 'status.cancelled')),
    components: [],
    allowed_mentions: { parse: [] },
    attachments: [],
  };
}

/** `user_prompt_slug_cut_at_63_jobid.png`, ASCII only: some systems fail on other characters. */
export function fileName(userName: string, promptText: string, jobId: string, extension: string): string {
  const slug = (text: string, max: number): string =>
    text
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      .replace(/[đĐ]/g, (letter) => (letter === 'đ' ? 'd' : 'D'))
      .replace(/[^A-Za-z0-9]+/g, '_')
      .slice(0, max)
      .replace(/^_+|_+$/g, '');
  const words = (promptText.split(/(?:^|\s)--/)[0] as string).replace(/https?:\/\/\S+/g, ' ');
  const name = [slug(userName, 32), slug(words, 63), jobId.replace('.', '_')].filter(Boolean).join('_');
  return `${name}.${extension}`;
}

/** Typed text as one line with every mark escaped, so that it cannot format, link, ping or reorder. */
export const escapeMarkdown = (text: string): string =>
  plain(text)
    .replace(/[\\*_~`|[\]<>@]/g, '\\$&')
    .replace(/:\/\//g, '\\://');

const plain = (text: string): string =>
  text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
    .replace(/[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, '')
    .trim();

/** `**prompt** - title (status)`; the prompt is cut where the message would be over Discord's limit. */
function headline(render: Headed, locale: string, status: string, below = ''): string {
  const after = `** - ${titleOf(render, locale)}${status ? ` ${status}` : ''}${below}`;
  return `**${cutEscaped(render.prompt, CONTENT_MAX - 2 - after.length)}${after}`;
}

/** `(31%) (fast)`, as Midjourney has it; a job without a lane shows none. */
const withLane = (status: string, { lane }: RenderRequest, locale: string): string =>
  [status, lane === undefined ? '' : say(locale, `status.${lane}`)].filter(Boolean).join(' ');

function titleOf(render: Headed, locale: string): string {
  const user = `<@${render.user.id}>`;
  const { parent, action } = render;
  // U under a grid is an upscale too, but people know its answer as "Image #2".
  const takenOut = action === 'upscale-subtle' && parent !== undefined && parent.recipe.count > 1;
  if (takenOut) return say(locale, 'title.image', { number: parent.index + 1, user });
  return say(locale, `title.${action}` satisfies MessageKey, { user });
}

/** Cuts between characters, never inside an escape, so that no mark loses its backslash. */
function cutEscaped(text: string, max: number): string {
  const whole = escapeMarkdown(text);
  if (whole.length <= max) return whole;
  let cut = '';
  for (const [piece] of whole.matchAll(/\\?[\s\S]/gu)) {
    if (cut.length + piece.length > max - 1) break;
    cut += piece;
  }
  return `${cut}…`;
}

const small = (facts: string[]): string => (facts.length === 0 ? '' : `\n-# ${facts.join(' · ')}`);

const altText = (prompt: string): string => {
  const letters = [...plain(prompt)];
  const text = letters.join('');
  return text.length <= ALT_MAX ? text : `${letters.slice(0, ALT_MAX / 2 - 1).join('')}…`;
};

const mentions = (render: Headed, ping: boolean): Payload['allowed_mentions'] =>
  ping ? { parse: [], users: [render.user.id] } : { parse: [] };

function button(
  action: ButtonAction,
  index: number,
  jobId: string,
  look: { label?: string; emoji?: string; style?: ButtonStyle.Primary | ButtonStyle.Secondary },
): APIButtonComponent {
  return {
    type: ComponentType.Button,
    style: look.style ?? ButtonStyle.Secondary,
    custom_id: printCustomId({ action, index, jobId }),
    ...(look.label === undefined ? {} : { label: look.label }),
    ...(look.emoji === undefined ? {} : { emoji: { name: look.emoji } }),
  };
}

const row = (...components: APIButtonComponent[]): Row => ({ type: ComponentType.ActionRow, components });

const cancelRow = (render: RenderRequest, locale: string): Row =>
  row(button('cancel', 0, render.jobId, { emoji: '❌', label: say(locale, 'button.cancel') }));

/** The Enhance button, under a draft only. */
const enhance = (jobId: string, locale: string, { recipe }: RenderResult): APIButtonComponent[] =>
  recipe.draft === true
    ? [button('enhance', 0, jobId, { emoji: '✨', label: say(locale, 'button.enhance') })]
    : [];

function gridRows(jobId: string, locale: string, result: RenderResult): Row[] {
  const each = (action: ButtonAction, letter: string): APIButtonComponent[] =>
    result.pictures.map((_, index) => button(action, index, jobId, { label: `${letter}${index + 1}` }));
  return [
    row(...each('upscale', 'U'), button('reroll', 0, jobId, { emoji: '🔄' })),
    row(...each('vary', 'V'), ...enhance(jobId, locale, result)),
  ];
}

type Labelled = Extract<
  ButtonAction,
  `${'upscale' | 'vary'}-${string}` | `zoom-${string}` | 'make-square' | 'reword'
>;

/** The buttons of one picture, in Midjourney's order. */
function singleRows(jobId: string, locale: string, result: RenderResult): Row[] {
  const { width, height, reword, repaints = true } = result;
  const named = (action: Labelled, emoji: string) =>
    button(action, 0, jobId, { emoji, label: say(locale, `button.${action}`) });
  const plain = (action: ButtonAction, emoji: string) => button(action, 0, jobId, { emoji });
  return [
    row(named('upscale-subtle', '🔍'), named('upscale-creative', '✨'), ...enhance(jobId, locale, result)),
    row(
      named('vary-subtle', '🪄'),
      named('vary-strong', '🎲'),
      ...(repaints ? [named('vary-region', '🖌️')] : []),
      ...(reword ? [named('reword', '💬')] : []),
    ),
    ...(repaints
      ? [
          row(
            named('zoom-2', '🔎'),
            named('zoom-1.5', '🔎'),
            named('zoom-custom', '🔎'),
            ...(width === height ? [] : [named('make-square', '↔️')]),
          ),
        ]
      : []),
    row(
      ...(repaints
        ? [plain('pan-left', '⬅️'), plain('pan-right', '➡️'), plain('pan-up', '⬆️'), plain('pan-down', '⬇️')]
        : []),
      plain('favourite', '❤️'),
    ),
  ];
}
