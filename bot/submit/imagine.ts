import { ButtonStyle, ComponentType } from 'discord.js';
import { say, sayDuration } from '../../shared/messages/index.ts';
import { printCustomId } from '../../shared/picture/customId.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { notesOn } from '../../shared/prompt/index.ts';
import { expectedWait } from '../../shared/queue/registry.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { keepFix } from '../buttons/fix.ts';
import type { Answer } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Draft } from './drafts.ts';
import { draftsOf } from './drafts.ts';
import { MAX_JOBS, readPrompts } from './expandPrompts.ts';
import { type Attached, takeImagePrompt } from './imagePrompt.ts';
import { begin, submit } from './submit.ts';

/** Most prompts shown in the question before a permutation. */
const SHOWN = 10;

/**
 * Turns the typed text into queued jobs; for the command, the Fix it form and the Yes to a permutation.
 * @param confirmed the member said Yes to `{a, b}`
 */
export async function imagine(
  app: App,
  asker: Asker,
  answer: Answer,
  typed: string,
  attached: Attached | undefined,
  confirmed = false,
): Promise<void> {
  const { prompts, defaultModel } = await readPrompts(app, asker, typed, attached ? { image: attached } : {});
  const jobs = prompts.reduce((sum, { params }) => sum + (params.repeat ?? 1), 0);
  if (jobs > MAX_JOBS) throw new UserError('too-many', { n: jobs, max: MAX_JOBS });
  const drafts = draftsOf(prompts, defaultModel);
  if (prompts.length > 1 && !confirmed) return ask(app, asker, answer, typed, attached, drafts);
  const after = () => tellNotes(app, asker, answer, typed);
  const links = prompts[0]?.images ?? [];
  if (!attached && links.length === 0) {
    await submit(app, asker, answer, drafts);
    return after();
  }
  if (!(await begin(app, asker, drafts))) return;
  const image = await takeImagePrompt(app, asker, attached, links);
  await submit(app, asker, answer, draftsOf(prompts, defaultModel, image));
  await after();
}

/** Tells the asker how other programs' syntax in the prompt was read. Only where this process answered. */
async function tellNotes(
  app: App,
  { locale, interactionId }: Asker,
  answer: Answer,
  typed: string,
): Promise<void> {
  const notes = notesOn(typed);
  if (notes.length === 0 || answer.state !== 'sent') return;
  const quoted = (text: string): string => text.replaceAll('`', 'ˋ');
  const lines = notes.map(
    ({ code, typed, instead }) =>
      `-# ${say(locale, `note.${code}`, { typed: quoted(typed), instead: quoted(instead) })}`,
  );
  await answer
    .whisper({ content: lines.join('\n'), allowed_mentions: { parse: [] } })
    .catch((error) => app.log.warn({ err: error, jobId: interactionId }, 'a note was not told'));
}

/** Shows the question before a permutation: how many jobs, which prompts, how long they take. */
async function ask(
  app: App,
  asker: Asker,
  answer: Answer,
  text: string,
  image: Attached | undefined,
  drafts: readonly Draft[],
): Promise<void> {
  const { locale, interactionId, token } = asker;
  const kept = await keepFix(app, asker, { text, token, ...(image ? { image } : {}) });
  if (!kept) throw new UserError('too-long-to-ask');
  const waitMs = await onRedis(expectedWait(app.redis, drafts[0]?.model ?? '', drafts.length - 1));
  const lines = [...new Set(drafts.map(({ prompt }) => prompt))]
    .slice(0, SHOWN)
    .map((prompt) => `- ${escapeMarkdown(prompt).slice(0, 200)}`);
  const time = waitMs === undefined ? '' : say(locale, 'confirm.time', { time: sayDuration(locale, waitMs) });
  const button = (action: 'confirm' | 'dismiss', style: ButtonStyle.Success | ButtonStyle.Secondary) => ({
    type: ComponentType.Button,
    style,
    label: say(locale, `button.${action}`),
    custom_id: printCustomId({ action, index: 0, jobId: interactionId }),
  });
  await answer.tell({
    content: '',
    embeds: [
      {
        title: say(locale, 'confirm.title', { n: drafts.length }),
        description: [lines.join('\n'), time].filter(Boolean).join('\n\n'),
      },
    ],
    components: [
      {
        type: ComponentType.ActionRow,
        components: [button('confirm', ButtonStyle.Success), button('dismiss', ButtonStyle.Secondary)],
      },
    ],
    allowed_mentions: { parse: [] },
  });
}
