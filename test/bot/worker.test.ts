import { afterAll, beforeAll, expect, it } from 'vitest';
import { isGrid, type Stack, startStack } from '../support/stack.ts';
import { type ModelsFolder, makeModels } from '../worker/tinyModel.ts';

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

it('every expansion and repeat ends as a grid in a message of its own', { timeout: 90_000 }, async () => {
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
