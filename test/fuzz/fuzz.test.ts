import { expect, it } from 'vitest';
import { targets } from './fuzz.ts';

/** `npm run fuzz -- --minutes 10` is the long one. */
it.each([
  ['custom-ids', 1_000, 500],
  ['jobs', 3_000, 50],
  ['pngs', 3_000, 10],
  ['foreign', 3_000, 50],
  ['gateway', 8_000, 10],
])(
  '%s: nothing breaks in %i ms of spoilt input',
  async (name, ms, least) => {
    const { attempts, broken } = await targets[name]!(11, ms);
    console.log(`${name}: ${attempts} attempts`);
    expect(broken).toEqual([]);
    expect(attempts).toBeGreaterThan(least);
  },
  300_000,
);
