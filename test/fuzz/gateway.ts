import { startFaultStack, until } from '../support/faults.ts';
import { openRandom } from '../support/random.ts';
import { passOn, startRelay } from '../support/relay.ts';
import { isGrid } from '../support/stack.ts';
import { mutateJson } from './mutate.ts';

/**
 * Spoils events on their way to a real bot: interactions, reactions and whatever else the gateway says while people
 * type and click. It must live, and answer the next sound one; nothing may be left reserved or queued.
 * @returns what broke, with the number of events that were spoilt
 */
export async function fuzzGateway(
  seed: number,
  endMs: number,
): Promise<{ attempts: number; broken: string[] }> {
  const random = openRandom(seed);
  const broken: string[] = [];
  let attempts = 0;
  const stack = await startFaultStack({
    env: { MAX_OPEN_JOBS: '1000', SLOW_MODE_WAIT_S: '0' },
    startMs: 300_000,
  });
  const relay = await startRelay(stack.playground.url);
  try {
    let bot = await stack.startBot({ DISCORD_API: relay.api });
    await stack.startWorker();
    const grid = await stack.grid(await stack.imagine('to be clicked'));
    const spoil = (event: string, data: Record<string, unknown>) => {
      // What tells the library who it is comes from Discord at each start; a forger of that has the whole bot.
      if (event === 'READY' || event === 'GUILD_CREATE') return [data];
      attempts++;
      const spoilt = mutateJson(data, random);
      last.push(`${event} ${JSON.stringify(spoilt)?.slice(0, 1_000)}`);
      if (last.length > 30) last.shift();
      return [spoilt as Record<string, unknown>];
    };
    const last: string[] = [];
    const end = performance.now() + endMs;
    while (performance.now() < end && broken.length < 20) {
      relay.forge = spoil;
      const early = { early: true, locale: 'en-US' };
      const { playground } = stack;
      const { member, stranger } = playground.users;
      const prompt = { prompt: `spoilt ${attempts}` };
      const acts = Array.from({ length: 10 }, () =>
        random.pick([
          () => playground.run(member, 'imagine', prompt, early),
          () => playground.run(stranger, 'info', {}, early),
          () => playground.click(member, grid.id, random.pick(['U1', 'V2', '🔄']), early),
          async () => playground.react(stranger, grid.id, random.pick(['❌', '✉️', '🦊'])),
        ])(),
      );
      const all = attempts + acts.length;
      await Promise.allSettled(acts);
      // An act is over before its event has come through the relay; one of a bot that ended never does.
      await until(() => attempts >= all, 'the events', 3_000).catch(() => undefined);
      relay.forge = passOn;
      let sound = await Promise.race([stack.imagine('sound'), bot.ended]);
      // A machine that is busy with other things is late once, not five times.
      for (let again = 0; again < 4 && typeof sound === 'object' && sound.state === 'failed'; again++)
        sound = await Promise.race([stack.imagine('sound'), bot.ended]);
      if (typeof sound === 'object' && sound.state === 'acknowledged') {
        await stack
          .shown(sound, (message) => isGrid(message) || message.ephemeral)
          .catch((error: Error) => {
            broken.push(`${error.message.slice(0, 300)} after ${last.slice(-10).join('\n')}`);
          });
        continue;
      }
      const lines = bot.lines.slice(-12).join('\n');
      broken.push(
        `the bot ${typeof sound === 'object' ? 'does not answer' : `ended (${sound})`}: ${lines}\nafter ${last.slice(-10).join('\n')}`,
      );
      bot.signal('SIGKILL');
      await bot.ended;
      bot = await stack.startBot({ DISCORD_API: relay.api });
    }
    return { attempts, broken };
  } finally {
    await stack.close();
    await relay.close();
  }
}
