import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { openQueues } from '../../shared/queue/queue.ts';
import { connectRedis, producerConnection } from '../../shared/queue/redis.ts';
import { readEnv } from '../../shared/service/env.ts';
import { openBoard } from './boardServer.ts';
import { readArgs, UsageError } from './usage.ts';

const USAGE = 'dreamgrid board [--port 9465] [--host 127.0.0.1] [--hours 1]';

/** A view of the queues while this command runs; only the printed link opens it. */
export async function board(args: string[]): Promise<number> {
  const options = {
    port: { type: 'string', default: '9465' },
    host: { type: 'string', default: '127.0.0.1' },
    hours: { type: 'string', default: '1' },
  } as const;
  const { values, positionals } = readArgs(args, options, USAGE);
  if (positionals.length > 0) throw new UsageError(`board takes no ${positionals[0]}. Usage: ${USAGE}`);
  const port = Number(values.port);
  const hours = Number(values.hours);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port: expected 0 to 65535; got ${JSON.stringify(values.port)}.`);
  if (!(hours > 0 && hours <= 24))
    throw new UsageError(`--hours: expected up to 24; got ${JSON.stringify(values.hours)}.`);
  const env = readEnv();
  const redis = await connectRedis(producerConnection(env));
  const queues = openQueues(redis);
  try {
    const secret = randomBytes(32).toString('base64url');
    const expiresAt = Date.now() + hours * 3_600_000;
    const opened = await openBoard({ queues, port, host: values.host, secret, expiresAt });
    process.stdout.write(
      `The queues, to look at: ${opened.link}\nUntil ${new Date(expiresAt).toISOString()}, or Ctrl-C. Prompts can be read there.\n`,
    );
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
    await opened.close();
    return 0;
  } finally {
    await queues.close();
    redis.disconnect();
  }
}
