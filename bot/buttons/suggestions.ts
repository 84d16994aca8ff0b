import { z } from 'zod';
import { keys } from '../../shared/queue/redis.ts';
import { UserError } from '../../shared/service/errors.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { draftsOf } from '../submit/drafts.ts';
import { readPrompts } from '../submit/expandPrompts.ts';
import { imagine } from '../submit/imagine.ts';
import { submit } from '../submit/submit.ts';
import type { Button, Click } from './button.ts';
import { claim } from './claim.ts';

/** The prompts that `/describe` and `/shorten` offer, one by one or all at once. */
const offeredSchema = z.array(z.string()).max(5);

/** @throws UserError('fix-gone') */
async function offered({ app, asker, id }: Click): Promise<string[]> {
  const kept = await onRedis(app.redis.get(keys.offered(asker.user.id, id.jobId)));
  if (kept === null) throw new UserError('fix-gone');
  return offeredSchema.parse(JSON.parse(kept));
}

export const suggest: Button = {
  kind: 'message',
  async press(click) {
    const { app, asker, answer, id } = click;
    const prompt = (await offered(click))[id.value ?? 0];
    if (prompt === undefined) throw new UserError('forged');
    await claim(app, asker, id);
    await imagine(app, asker, answer, prompt, undefined);
  },
};

export const suggestAll: Button = {
  kind: 'message',
  async press(click) {
    const { app, asker, answer, id } = click;
    const prompts = await offered(click);
    await claim(app, asker, id);
    const drafts = [];
    for (const prompt of prompts) {
      const read = await readPrompts(app, asker, prompt);
      drafts.push(...draftsOf(read.prompts, read.defaultModel));
    }
    await submit(app, asker, answer, drafts);
  },
};
