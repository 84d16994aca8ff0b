import type { FaultStack } from '../support/faults.ts';
import { engineOf, type TestProcess } from '../support/processes.ts';
import type { FaultProxy } from '../support/proxy.ts';
import type { Random } from '../support/random.ts';
import { passOn, type Relay } from '../support/relay.ts';

/** What breaks in a storm, and mends itself. */
export interface Weather {
  /** One more trouble, drawn from the seed; ends by itself. */
  strike(random: Random): void;
  /** How often each kind struck. */
  counts: Record<string, number>;
  /** When something was killed, ms of performance.now(). */
  kills: number[];
  /** Everything is mended and every process runs. */
  calm(): Promise<void>;
}

export interface Place {
  stack: FaultStack;
  relay: Relay;
  /** In front of Redis, for the bot and for the workers. */
  proxies: { bot: FaultProxy; workers: FaultProxy };
  /** In front of the bucket, where pictures are in one. */
  bucket?: FaultProxy | undefined;
  workers: number;
  startBot(): Promise<TestProcess>;
  startWorker(): Promise<TestProcess>;
}

/** How often each kind is drawn. A silence takes 20 s to be noticed, so a short storm has none. */
const KINDS = {
  'worker killed': 10,
  'worker asked to stop': 4,
  'engine killed': 6,
  'bot killed': 5,
  'bot asked to stop': 2,
  'Redis killed': 4,
  'workers cut off from Redis': 5,
  'bot cut off from Redis': 4,
  'silence between workers and Redis': 1,
  'silence between bot and Redis': 1,
  'bucket away': 8,
  'gateway dropped': 4,
  'Discord answers 429': 10,
  'Discord answers 500': 10,
  'Discord breaks the connection': 8,
  'Discord answers late': 8,
  'Discord does late what it was asked': 6,
  'Discord’s answer is lost': 8,
  'interactions delivered twice': 8,
} as const;
type Kind = keyof typeof KINDS;

const ROUTES = [/^PATCH \/webhooks/, /^POST \/interactions/, /^(PATCH|POST) /, /^POST \/channels/] as const;

/** As a supervisor does: a process that finds no Redis says so and ends, and is started again. */
async function insist(start: () => Promise<TestProcess>): Promise<TestProcess> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      if (attempt === 30) throw error;
    }
  }
}

export async function openWeather(place: Place, silence: boolean): Promise<Weather> {
  const { stack, relay, proxies } = place;
  const { trouble } = stack.playground;
  const kills: number[] = [];
  const counts: Record<string, number> = {};
  const [bot, ...workers] = await Promise.all([
    place.startBot(),
    ...Array.from({ length: place.workers }, () => place.startWorker()),
  ]);
  const standing = { bot: bot as TestProcess, workers };

  // One trouble at a time for each target, in the order they were drawn.
  const turns = new Map<string, Promise<void>>();
  const inTurn = (target: string, work: () => Promise<void>): void => {
    turns.set(target, (turns.get(target) ?? Promise.resolve()).then(work));
  };
  /** The outage itself, not a wait for something. */
  const lasting = (ms: number): Promise<void> => new Promise((over) => setTimeout(over, ms));

  const end = async (process: TestProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    if (signal === 'SIGKILL') kills.push(performance.now());
    process.signal(signal);
    await process.ended;
  };
  const replaceWorker = (signal: 'SIGKILL' | 'SIGTERM', which: number): void =>
    inTurn(`worker ${which}`, async () => {
      await end(standing.workers[which] as TestProcess, signal);
      standing.workers[which] = await insist(place.startWorker);
    });
  const replaceBot = (signal: 'SIGKILL' | 'SIGTERM'): void =>
    inTurn('bot', async () => {
      await end(standing.bot, signal);
      standing.bot = await insist(place.startBot);
    });
  const cut = (proxy: FaultProxy, name: string, mode: 'reset' | 'blackhole', ms: number): void =>
    inTurn(name, async () => {
      kills.push(performance.now());
      proxy.set(mode);
      await lasting(ms);
      proxy.set('pass');
    });
  const spoil = (kind: '429' | '500' | 'reset' | 'slow' | 'lost-answer', random: Random): void => {
    const match = random.pick(ROUTES);
    const times = random.between(1, 4);
    trouble.add({ kind, match, times, retryAfter: random.between(1, 20) / 10, delayMs: 2_500 });
  };

  const strikes: Record<Kind, (random: Random) => void> = {
    'worker killed': (random) => replaceWorker('SIGKILL', random.between(0, place.workers - 1)),
    'worker asked to stop': (random) => replaceWorker('SIGTERM', random.between(0, place.workers - 1)),
    'engine killed': (random) => {
      const which = random.between(0, place.workers - 1);
      inTurn(`worker ${which}`, async () => {
        kills.push(performance.now());
        const pid = await engineOf(standing.workers[which] as TestProcess).catch(() => undefined);
        if (pid) process.kill(pid, 'SIGKILL');
      });
    },
    'bot killed': () => replaceBot('SIGKILL'),
    'bot asked to stop': () => replaceBot('SIGTERM'),
    'Redis killed': (random) => {
      const ms = random.between(0, 3_000);
      inTurn('redis', async () => {
        kills.push(performance.now());
        await stack.redis.kill('SIGKILL');
        await lasting(ms);
        await stack.redis.start();
      });
    },
    'workers cut off from Redis': (random) =>
      cut(proxies.workers, 'worker proxy', 'reset', random.between(0, 2_000)),
    'bot cut off from Redis': (random) => cut(proxies.bot, 'bot proxy', 'reset', random.between(0, 2_000)),
    'silence between workers and Redis': (random) =>
      cut(proxies.workers, 'worker proxy', 'blackhole', random.between(500, 3_000)),
    'silence between bot and Redis': (random) =>
      cut(proxies.bot, 'bot proxy', 'blackhole', random.between(500, 3_000)),
    'bucket away': (random) => {
      const { bucket } = place;
      if (!bucket) return;
      inTurn('bucket', async () => {
        bucket.set(random.pick(['reset', 'blackhole'] as const));
        await lasting(random.between(500, 6_000));
        bucket.set('pass');
      });
    },
    'gateway dropped': () => trouble.dropGateway(),
    'Discord answers 429': (random) => spoil('429', random),
    'Discord answers 500': (random) => spoil('500', random),
    'Discord breaks the connection': (random) => spoil('reset', random),
    'Discord answers late': (random) => spoil('slow', random),
    'Discord does late what it was asked': (random) =>
      void trouble.add({
        kind: 'late',
        match: /^PATCH \/webhooks/,
        times: random.between(1, 3),
        delayMs: random.between(1_000, 10_000),
      }),
    'Discord’s answer is lost': (random) => spoil('lost-answer', random),
    'interactions delivered twice': (random) => {
      let left = random.between(1, 6);
      relay.forge = (event, data) => {
        if (event !== 'INTERACTION_CREATE') return [data];
        if (--left <= 0) relay.forge = passOn;
        return [data, structuredClone(data)];
      };
    },
  };

  const weights = {
    ...KINDS,
    ...(silence ? {} : { 'silence between workers and Redis': 0, 'silence between bot and Redis': 0 }),
    ...(place.bucket ? {} : { 'bucket away': 0 }),
  };
  return {
    counts,
    kills,
    strike: (random) => {
      const kind = random.weighted<Kind>(weights);
      counts[kind] = (counts[kind] ?? 0) + 1;
      strikes[kind](random);
    },
    calm: async () => {
      while (turns.size > 0) {
        const all = [...turns.values()];
        turns.clear();
        await Promise.all(all);
      }
      trouble.clear();
      relay.forge = passOn;
    },
  };
}
