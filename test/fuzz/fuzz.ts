import { openRandom } from '../support/random.ts';
import { fuzzGateway } from './gateway.ts';
import { type Attempt, fuzzCustomIds, fuzzForeign, fuzzJobs, fuzzPngs } from './pure.ts';

export interface FuzzReport {
  attempts: number;
  broken: string[];
}

const pure =
  (attempt: Attempt) =>
  async (seed: number, ms: number): Promise<FuzzReport> => {
    const random = openRandom(seed);
    const broken: string[] = [];
    const end = performance.now() + ms;
    let attempts = 0;
    for (; performance.now() < end && broken.length < 20; attempts++) {
      const what = await attempt(random);
      if (what) broken.push(what);
    }
    return { attempts, broken };
  };

/** What is fuzzed: from a seed, for so many milliseconds, up to 20 findings. */
export const targets: Readonly<Record<string, (seed: number, ms: number) => Promise<FuzzReport>>> = {
  'custom-ids': pure(fuzzCustomIds),
  jobs: pure(fuzzJobs),
  pngs: pure(fuzzPngs),
  foreign: pure(fuzzForeign),
  gateway: fuzzGateway,
};
