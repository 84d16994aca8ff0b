import { readJobs } from '../../shared/memory/jobRecords.ts';
import type { CustomId } from '../../shared/picture/customId.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';

/**
 * Buttons that only one member sees: those of a picture in stealth, of a settings
 * panel, and of the question before everything is erased.
 * A click on one by another member has a forged custom id. @throws UserError('forged')
 */
export async function checkShown(app: App, { user }: Asker, { action, jobId }: CustomId): Promise<void> {
  if (/^(?:set|my)-/.test(action)) {
    if (jobId !== user.id) throw new UserError('forged');
    return;
  }
  const [job] = await onRedis(readJobs(app.redis, [jobId]));
  if (job?.stealth && job.userId !== user.id) throw new UserError('forged');
}
