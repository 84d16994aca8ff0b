import { expect, it } from 'vitest';
import { playStorm } from './storm.ts';

/** `npm run storm -- --jobs 10000 --seed N` is the long one. */
it('a short storm: nothing lost, nothing doubled', async () => {
  const { wrong, figures, troubles } = await playStorm({ jobs: 80, seed: 7 });
  console.log(JSON.stringify({ ...figures, ...troubles }));
  expect(wrong).toEqual([]);
  expect(figures['messages with a picture']).toBeGreaterThan(20); // who meets an outage is told so, and that is an end as well
  expect(Object.keys(troubles).length).toBeGreaterThan(2); // how often each strikes hangs on who is done first
}, 600_000);
