import { afterAll, beforeAll, expect, it } from 'vitest';
import { keys } from '../../shared/queue/redis.ts';
import { isGrid, type Stack, startStack } from '../support/stack.ts';
import { type ModelsFolder, makeModels } from '../support/tinyModel.ts';

/** What bot and worker must agree on beyond types: which message carries which job. */
let models: ModelsFolder;
let stack: Stack;
beforeAll(async () => {
  models = await makeModels(['tiny']);
  stack = await startStack({ env: { MODELS_DIR: models.root, DEFAULT_MODEL: 'tiny' } });
  await Promise.all([stack.startBot(), stack.startWorker()]);
}, 120_000);
afterAll(async () => {
  await stack?.close();
  await models?.remove();
});

it('every expansion and repeat ends as a grid in a message of its own', { timeout: 240_000 }, async () => {
  const { playground } = stack;
  const { member } = playground.users;
  const asked = await playground.run(member, 'imagine', { prompt: 'a {red, blue} fox --repeat 2' });
  await playground.click(member, asked.message?.id as string, 'Yes');
  const grids = await playground.waitFor(
    () => {
      const done = playground.messages().filter(isGrid);
      return done.length === 4 ? done : undefined;
    },
    60_000,
    'four grids',
  );
  expect(playground.messages()).toHaveLength(4);
  expect(grids.map(({ content }) => /(red|blue)/.exec(content)?.[0]).sort()).toEqual([
    'blue',
    'blue',
    'red',
    'red',
  ]);
  expect(new Set(grids.map(({ attachments }) => attachments[0]?.data.toString('base64'))).size).toBe(4);
  expect(playground.violations).toEqual([]);
});

it('a picture in stealth is never in the channel: first for its owner alone, later by direct message', {
  timeout: 240_000,
}, async () => {
  const { playground, redis } = stack;
  const { member, stranger } = playground.users;
  const asked = await playground.run(member, 'imagine', { prompt: 'a grey fox --stealth' });
  const grid = await playground.waitFor(
    () => (asked.message && isGrid(asked.message) ? asked.message : undefined),
    60_000,
    'a grid for one',
  );
  expect(grid.ephemeral).toBe(true);

  // Its 15 minutes are over before the grid is painted.
  const [worker] = stack.processes.splice(1, 1);
  worker?.signal('SIGKILL');
  await worker?.ended;
  const late = await playground.run(member, 'imagine', { prompt: 'a late fox --stealth' });
  await redis.client.del(keys.token(late.id));
  await stack.startWorker();
  const dm = playground.dm(member);
  const [sent] = await playground.waitFor(
    () => {
      const done = playground.messages(dm).filter(isGrid);
      return done.length > 0 ? done : undefined;
    },
    60_000,
    'a grid by direct message',
  );
  expect(sent?.content).toContain('a late fox');
  expect(playground.messages(undefined, stranger).some(({ content }) => /grey|late/.test(content))).toBe(
    false,
  );
  expect(playground.violations).toEqual([]);
});

it('auto_dm sends a copy, and only once', { timeout: 240_000 }, async () => {
  const { playground } = stack;
  const { stranger } = playground.users;
  await playground.run(stranger, 'prefer auto_dm');
  const asked = await playground.run(stranger, 'imagine', { prompt: 'a copied fox' });
  const dm = playground.dm(stranger);
  await playground.waitFor(() => playground.messages(dm).some(isGrid), 60_000, 'a copy');
  await playground.waitFor(() => asked.message && isGrid(asked.message), 60_000, 'the grid');
  expect(playground.messages(dm)).toHaveLength(1);
  expect(playground.messages(dm)[0]?.attachments[0]?.data).toEqual(asked.message?.attachments[0]?.data);
  expect(playground.violations).toEqual([]);
});
