import { describe, expect, it, vi } from 'vitest';
import { keys } from '../../../shared/queue/redis.ts';
import { erlangC, planCapacity, waitOf } from '../../../worker/cli/capacity.ts';
import { plan as planCommand } from '../../../worker/cli/plan.ts';
import { openRandom } from '../../support/random.ts';
import { startRedis } from '../../support/redis.ts';
import { makeModels } from '../../support/tinyModel.ts';

describe('the wait in line', () => {
  it('is Erlang’s: known values of C(c, a)', () => {
    expect(erlangC(1, 0.5)).toBeCloseTo(0.5, 12); // M/M/1: the load itself
    expect(erlangC(2, 1)).toBeCloseTo(1 / 3, 12);
    expect(erlangC(10, 8)).toBeCloseTo(0.40918, 5); // by the sum in Allen's 5.2
    expect(erlangC(2_000, 1_900)).toBeGreaterThan(0);
  });

  it('is for ever where more comes than is painted, and falls with every worker', () => {
    expect(waitOf(2, 1, 2).meanS).toBe(Number.POSITIVE_INFINITY);
    const waits = [3, 4, 5, 8].map((workers) => waitOf(workers, 1, 2));
    for (const [i, wait] of waits.slice(1).entries()) {
      expect(wait.meanS).toBeLessThan((waits[i] as typeof wait).meanS);
      expect(wait.p95S).toBeLessThanOrEqual((waits[i] as typeof wait).p95S);
    }
  });

  it('agrees with a queue that is played: bursts as assumed, three workers', () => {
    // Arrivals: hyperexponential of squared variation 2 with balanced means; services: gamma of order 2.
    const random = openRandom(7);
    const uniform = (): number => (random.between(0, 1_000_000) + 0.5) / 1_000_001;
    const exponential = (mean: number): number => -mean * Math.log(uniform());
    const p = (1 + Math.sqrt(1 / 3)) / 2;
    const [rate, serviceS] = [1, 2.4];
    const free = [0, 0, 0];
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 200_000; i++) {
      const fast = uniform() < p;
      now += exponential(1 / (2 * rate * (fast ? p : 1 - p)));
      const first = free.indexOf(Math.min(...free));
      const begin = Math.max(now, free[first] as number);
      waits.push(begin - now);
      free[first] = begin + exponential(serviceS / 2) + exponential(serviceS / 2);
    }
    const mean = waits.reduce((sum, wait) => sum + wait, 0) / waits.length;
    const p95 = waits.sort((a, b) => a - b)[Math.floor(0.95 * waits.length)] as number;
    const planned = waitOf(3, rate, serviceS);
    expect(planned.meanS / mean).toBeGreaterThan(0.8);
    expect(planned.meanS / mean).toBeLessThan(1.25);
    expect(planned.p95S / p95).toBeGreaterThan(0.8);
    expect(planned.p95S / p95).toBeLessThan(1.25);
  });
});

describe('a plan', () => {
  const demand = { users: 500, perDay: 20, peakShare: 0.12 };
  const cost = { gridS: 6, pictureS: 0.6, width: 512, height: 512 };

  it('has the fewest workers that keep the wait', () => {
    const plan = planCapacity(demand, cost, 30, 90);
    const wait = (workers: number) => waitOf(workers, plan.jobsASecond, plan.serviceS).p95S;
    expect(wait(plan.workers)).toBeLessThanOrEqual(30);
    expect(wait(plan.workers - 1)).toBeGreaterThan(30);
    expect(plan.waits.map(({ workers }) => workers)).toContain(plan.workers);
  });

  it('grows with people, and asks for two when Discord or Redis is full', () => {
    const small = planCapacity({ ...demand, users: 5 }, cost, 30, 90);
    const large = planCapacity({ ...demand, users: 100_000 }, cost, 30, 90);
    expect(small.workers).toBe(1);
    expect(large.workers).toBeGreaterThan(200);
    expect(large.discordASecond).toBeGreaterThan(50);
    expect(large.bucketBytesKept).toBeCloseTo(90 * large.bucketBytesADay, -6);
  });
});

describe('dreamgrid plan', () => {
  const run = async (...args: string[]): Promise<string> => {
    const said: string[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      said.push(String(text));
      return true;
    });
    try {
      expect(await planCommand(args)).toBe(0);
    } finally {
      write.mockRestore();
    }
    return said.join('');
  };

  it('takes the time of a grid from what workers measured, or from what it is told, and says which', async () => {
    const [redis, models] = [await startRedis(), await makeModels()];
    vi.stubEnv('MODELS_DIR', models.root);
    vi.stubEnv('DEFAULT_MODEL', 'tiny');
    try {
      const told = JSON.parse(await run('--users', '100', '--per-day', '10', '--seconds', '4', '--json'));
      expect(told).toMatchObject({ cost: { gridS: 4, width: 64 }, source: 'as --seconds says' });
      vi.stubEnv('REDIS_URL', redis.url);
      await redis.client.hset(keys.pace, { 'tiny imagine': '8000', 'tiny upscale-subtle': '500' });
      const text = await run('--users', '100', '--per-day', '10');
      expect(text).toContain('8 s a grid, as the workers of this Redis measured lately');
      for (const word of ['<- enough', 'Redis ', 'bucket ', 'Discord ', 'Assumed:', '--peak'])
        expect(text).toContain(word);
    } finally {
      vi.unstubAllEnvs();
      await models.remove();
      await redis.close();
    }
  });

  it.each([
    [['--per-day', '3'], /^--users: expected a number from 1 to 100000000; got ""/],
    [['--users=-1', '--per-day', '3'], /^--users: expected a number/],
    [['--users', '5', '--per-day', 'many'], /^--per-day: expected a number/],
    [
      ['--users', '5', '--per-day', '3', '--peak', '2'],
      /^--peak: expected a number from 0\.042 to 1; got "2"/,
    ],
    [['--users', '5', '--per-day', '3', 'extra'], /^plan takes no extra/],
    [['--user', '5'], /Unknown option '--user'/],
  ])('refuses %j', async (args, words) => {
    await expect(planCommand(args)).rejects.toThrow(words);
  });
});
