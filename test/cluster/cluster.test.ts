import { expect, it } from 'vitest';
import { whyNoNetwork } from '../support/network.ts';
import { conduct } from './conduct.ts';

const why = whyNoNetwork();

/** `npm run bench -- cluster` measures the same; here nothing is measured. */
it.skipIf(why)(
  `many machines: one grid each, whatever wire is pulled (${why ?? 'Redis, bot, three workers and the store in namespaces of their own'})`,
  async () => {
    const { asked, grids, wrong, figures, startedAgain } = await conduct({
      stepMs: 150,
      cutMs: 0,
      scaling: 0,
    });
    console.log(JSON.stringify({ asked, startedAgain, ...figures }));
    expect(wrong).toEqual([]);
    expect(grids).toBe(asked);
    expect(figures['taken over elsewhere']).toBe(1);
  },
  600_000,
);
