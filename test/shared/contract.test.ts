import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BUTTON_ACTIONS, parseCustomId, printCustomId } from '../../shared/picture/customId.ts';
import { lineage, type Recipe, recipeSchema, seedOf } from '../../shared/picture/recipe.ts';
import { renderRequestSchema } from '../../shared/queue/job.ts';
import { readEnv } from '../../shared/service/env.ts';
import { redactTokens, safeError } from '../../shared/service/log.ts';

const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'pocket',
  modelHash: '0123456789abcdef',
  prompt: 'a fox --seed 7',
  parts: [{ text: 'a fox', weight: 1 }],
  negative: '',
  seed: 7,
  count: 4,
  width: 128,
  height: 128,
  steps: 20,
  guidance: 4,
  scheduler: 'DDIMScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
};

describe('custom ids', () => {
  const anyId = fc.record({
    action: fc.constantFrom(...BUTTON_ACTIONS),
    index: fc.integer({ min: 0, max: 3 }),
    jobId: fc.stringMatching(/^\d{15,20}(\.\d{1,2})?$/),
  });
  it('come back as they went, within 100 characters', () => {
    fc.assert(
      fc.property(anyId, (id) => {
        const text = printCustomId(id);
        expect(text.length).toBeLessThanOrEqual(100);
        expect(parseCustomId(text)).toEqual({ ok: true, id });
      }),
    );
  });
  it('never throw on forged ones', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(parseCustomId(text).ok).toBe(false);
      }),
    );
  });
  it.each([
    ['v2|upscale|0|123456789012345678', 'expired'],
    ['v1|upscale|4|123456789012345678', 'forged'],
    ['v1|upscale|0|../../etc', 'forged'],
    ['v1|drop|0|123456789012345678', 'forged'],
    ['v1|upscale|0|123456789012345678|x', 'forged'],
  ])('%s is %s', (text, why) => expect(parseCustomId(text)).toEqual({ ok: false, why }));
});

describe('recipes', () => {
  it('are strict: no unknown field, no prototype, no foreign version', () => {
    expect(recipeSchema.parse(recipe)).toEqual(recipe);
    expect(recipeSchema.safeParse({ ...recipe, extra: 1 }).success).toBe(false);
    expect(recipeSchema.safeParse({ ...recipe, v: 2 }).success).toBe(false);
    expect(
      recipeSchema.safeParse(JSON.parse(`{"__proto__":{"v":1},${JSON.stringify(recipe).slice(1)}`)).success,
    ).toBe(false);
    expect(recipeSchema.safeParse({ ...recipe, model: '../../etc' }).success).toBe(false);
  });
  it('carry their parents', () => {
    const child: Recipe = {
      ...recipe,
      action: 'vary-strong',
      parent: { jobId: '123456789012345678', index: 2, recipe },
    };
    expect(lineage(recipeSchema.parse(child))).toEqual([child, recipe]);
  });
  it('wrap seeds at 2^32', () => expect(seedOf({ seed: 0xffffffff }, 2)).toBe(1));
});

describe('job data', () => {
  it('is refused when it was edited by hand', () => {
    const request = {
      v: 1,
      jobId: '123456789012345678',
      action: 'imagine',
      prompt: 'a fox',
      parts: [{ text: 'a fox', weight: 1 }],
      negative: '',
      params: {},
      model: 'pocket',
      seed: 1,
      count: 4,
      user: { id: '123456789012345678', name: 'ann' },
      createdAt: 0,
    };
    expect(renderRequestSchema.safeParse(request).success).toBe(true);
    for (const bad of [
      { v: 2 },
      { count: 400 },
      { jobId: '../x' },
      { seed: -1 },
      { image: { key: '../../secret' } },
      { admin: true },
    ]) {
      expect(renderRequestSchema.safeParse({ ...request, ...bad }).success, JSON.stringify(bad)).toBe(false);
    }
  });
});

describe('settings', () => {
  it('have defaults, and an empty value counts as none', () => {
    expect(readEnv({}).DEFAULT_MODEL).toBe('pocket');
    expect(readEnv({ PROVIDERS: 'cuda, cpu', DISCORD_TOKEN: '' })).toMatchObject({
      PROVIDERS: ['cuda', 'cpu'],
      DISCORD_TOKEN: undefined,
    });
  });
  it('name all that is wrong in one line, without its secrets', () => {
    const wrong = () => readEnv({ REDIS_URL: 'http://:hunter2@x', THREADS: 'many', LOG_LEVEL: 'loud' });
    expect(wrong).toThrow(/REDIS_URL.*THREADS.*LOG_LEVEL/);
    expect(wrong).not.toThrow(/hunter2|\n/);
  });
});

describe('the log', () => {
  it('keeps tokens, passwords and request bodies out', () => {
    const rest = Object.assign(
      new Error('PATCH https://discord.com/api/v10/webhooks/1/canary-token/messages/@original'),
      {
        status: 401,
        code: 50027,
        requestBody: { json: { content: 'canary-prompt' } },
      },
    );
    expect(JSON.stringify(safeError(rest))).not.toMatch(/canary/);
    const plain = new Error(
      'connect redis://:canary-password@127.0.0.1 via webhooks/123/canary-token/messages',
    );
    expect(JSON.stringify(safeError(plain))).not.toMatch(/canary/);
    expect(redactTokens('interactions/12/canary-x/callback')).toBe('interactions/12/…/callback');
  });
});
