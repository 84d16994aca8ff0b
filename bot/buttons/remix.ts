import { say } from '../../shared/messages/index.ts';
import { type CustomId, printCustomId } from '../../shared/picture/customId.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import type { Draft } from '../submit/drafts.ts';
import { remixOf } from '../submit/drafts.ts';
import { readPrompts } from '../submit/expandPrompts.ts';
import { promptModal } from './fix.ts';

/** Remix: the prompt of a variation can be changed before it is painted. */
export const remixModal = (locale: string, id: CustomId, text: string): object =>
  promptModal(say(locale, 'remix.title'), say(locale, 'fix.label'), text, id);

/** One picture becomes one job: a prompt that makes several is refused. @throws UserError */
export async function remix(
  app: App,
  asker: Asker,
  id: CustomId,
  typed: string,
  draft: Draft,
): Promise<Draft> {
  const { prompts } = await readPrompts(app, asker, typed, { button: printCustomId(id) });
  const jobs = prompts.reduce((sum, { params }) => sum + (params.repeat ?? 1), 0);
  const [only] = prompts;
  if (only === undefined || jobs > 1) throw new UserError('too-many', { n: jobs, max: 1 });
  return remixOf(draft, only);
}
