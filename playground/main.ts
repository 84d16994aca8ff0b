import { fileURLToPath } from 'node:url';
import { type PlaygroundOptions, startPlayground } from './index.ts';
import { pageFiles } from './serve/pageBundle.ts';

/** The local Discord on its own: says where it listens, stops on SIGTERM and SIGINT with its history saved. */

const say = (line: object): void => console.log(JSON.stringify(line));

function optionsFromEnv(env: NodeJS.ProcessEnv): PlaygroundOptions {
  const port =
    env['PLAYGROUND_PORT'] === undefined || env['PLAYGROUND_PORT'] === ''
      ? 8765
      : Number(env['PLAYGROUND_PORT']);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(
      `PLAYGROUND_PORT must be a port number from 0 to 65535, not "${env['PLAYGROUND_PORT']}".`,
    );
  return {
    port,
    ...(env['PLAYGROUND_HOST'] ? { host: env['PLAYGROUND_HOST'] } : {}),
    ...(env['PLAYGROUND_STATE'] ? { statePath: env['PLAYGROUND_STATE'] } : {}),
    ...(env['PLAYGROUND_TOKEN'] ? { token: env['PLAYGROUND_TOKEN'] } : {}),
    ...(env['PLAYGROUND_BOT'] && env['PLAYGROUND_WORKER']
      ? {
          underneath: {
            bot: env['PLAYGROUND_BOT'],
            worker: env['PLAYGROUND_WORKER'],
            // The message goes to the launcher, which owns the worker.
            ...(env['PLAYGROUND_LAUNCHER'] ? { killWorker: () => say({ ask: 'kill-worker' }) } : {}),
          },
        }
      : {}),
    guideFolder: fileURLToPath(new URL('../docs', import.meta.url)),
  };
}

function explain(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE') return 'The port is taken. Set PLAYGROUND_PORT to another one, or 0 for any.';
  return error instanceof Error ? error.message : String(error);
}

try {
  const playground = await startPlayground(optionsFromEnv(process.env));
  // A random token is known to nobody else, so it is printed.
  const made = !process.env['PLAYGROUND_TOKEN'] && playground.token !== 'playground';
  const { url, pageUrl: page, token } = playground;
  say({ ready: true, url, page, ...(made ? { token } : {}) });
  if (playground.pageUrl.includes('key='))
    console.error('playground: listening beyond this machine; anyone with the page address can use it.');
  // Bundled while the bot starts, so that the first visit need not wait.
  pageFiles().catch((error) => console.error(`playground: the page could not be built: ${explain(error)}`));
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await playground.close();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  console.error(`playground: ${explain(error)}`);
  process.exit(1);
}
