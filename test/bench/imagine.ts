import { freePort } from '../support/redis.ts';
import { isGrid, startStack } from '../support/stack.ts';
import { spread } from './figures.ts';

/** From /imagine to acknowledgement, first preview and grid; and how long the event loops stood still meanwhile. */
export async function benchImagine(): Promise<void> {
  const stack = await startStack({ env: { LOG_LEVEL: 'warn' } });
  const { playground } = stack;
  const [botPort, workerPort] = [await freePort(), await freePort()];
  const env = { LOG_LEVEL: 'info' };
  await Promise.all([
    stack.startBot({ ...env, HEALTH_PORT: String(botPort) }),
    stack.startWorker({ ...env, HEALTH_PORT: String(workerPort) }),
  ]);
  const lag = async (port: number): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(/^nodejs_eventloop_lag_max_seconds(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1]) * 1000;
  };
  await Promise.all([lag(botPort), lag(workerPort)]); // reading starts a new window
  const figures: Record<string, number[]> = { acknowledged: [], 'first preview': [], grid: [] };
  const lags: Record<string, number[]> = { bot: [], worker: [] };
  for (let i = 0; i < 6; i++) {
    const began = performance.now();
    const since = () => (performance.now() - began) / 1000;
    const handle = await playground.run(playground.users.member, 'imagine', {
      prompt: `a red fox in the snow --seed ${i}`,
    });
    figures.acknowledged?.push(since());
    await playground.waitFor(() => (handle.message?.attachments.length ?? 0) > 0, 120_000);
    figures['first preview']?.push(since());
    await playground.waitFor(() => handle.message && isGrid(handle.message), 120_000);
    figures.grid?.push(since());
    lags.bot?.push(await lag(botPort));
    lags.worker?.push(await lag(workerPort));
  }
  await stack.close();
  console.log('| /imagine on pocket, seconds | min | median | max |\n|---|---|---|---|');
  for (const [name, values] of Object.entries(figures)) console.log(`| ${name} | ${spread(values)} |`);
  console.log(
    '\n| event loop, longest pause while a picture was painted, ms | min | median | max |\n|---|---|---|---|',
  );
  for (const [name, values] of Object.entries(lags)) console.log(`| ${name} | ${spread(values, 0)} |`);
}
