import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commands, definitions, messageApps } from '../../bot/commands/index.ts';
import { presentError } from '../../bot/interaction/errorReply.ts';
import { isRedisAway } from '../../bot/interaction/redisAway.ts';
import { draftsOf, rerollOf, upscaleOf, variationOf } from '../../bot/submit/drafts.ts';
import { describeProblems } from '../../bot/submit/promptProblems.ts';
import { seedFrom } from '../../bot/submit/submit.ts';
import { languages, type MessageKey } from '../../shared/messages/index.ts';
import { lineage, MAX_LINEAGE, type Recipe, recipeSchema } from '../../shared/picture/recipe.ts';
import { type ParsedPrompt, PROBLEM_CODES, parsePrompt } from '../../shared/prompt/index.ts';
import { UserError } from '../../shared/service/errors.ts';

const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'pocket',
  modelHash: '',
  prompt: 'a fox \\{in\\} snow --ar 3:2 --seed 7 --chaos 20',
  parts: [{ text: 'a fox {in} snow', weight: 1 }],
  negative: '',
  seed: 0xffffffff,
  count: 4,
  width: 96,
  height: 64,
  steps: 20,
  guidance: 5,
  scheduler: 'DDIMScheduler',
  chaos: 0.2,
  weird: 0,
  stop: 1,
  tile: false,
};
const jobId = '12345678901234567';

describe('drafts', () => {
  const parse = (text: string): ParsedPrompt[] => {
    const parsed = parsePrompt(text, { defaultModel: 'pocket' });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    return parsed.prompts;
  };

  it('repeat and expand', () => {
    const drafts = draftsOf(parse('a {red, blue} fox --repeat 2 --seed 5'), 'pocket');
    expect(drafts.map(({ parts, seed }) => [parts[0]?.text, seed])).toEqual([
      ['a red fox', 5],
      ['a red fox', 5],
      ['a blue fox', 5],
      ['a blue fox', 5],
    ]);
    expect(drafts.every(({ params }) => params.repeat === undefined)).toBe(true);
  });

  it('drop the seed of the picture they come from, and keep the rest', () => {
    const draft = variationOf(jobId, 3, recipe, 'vary-strong');
    expect(draft).toMatchObject({
      prompt: 'a fox \\{in\\} snow --ar 3:2 --chaos 20',
      params: { aspect: [3, 2], chaos: 20 },
      parts: recipe.parts,
      parent: { jobId, index: 3, recipe },
    });
    expect(draft.seed).toBeUndefined();
    expect(draft.params.seed).toBeUndefined();
  });

  it('wrap the seed of the last picture', () => {
    expect(upscaleOf(jobId, 1, recipe, 'upscale-subtle').seed).toBe(0);
  });

  it('reroll with image and parent, but not as an upscale', () => {
    const image = { key: 'uploads/a.png', strength: 0.5 };
    expect(rerollOf({ ...recipe, image })).toMatchObject({ image: { key: 'uploads/a.png' }, count: 4 });
    expect(rerollOf({ ...recipe, action: 'upscale-subtle', count: 1 }).seed).toBe(recipe.seed);
  });

  it('survive a text that no longer parses', () => {
    expect(rerollOf({ ...recipe, prompt: 'a --gone 1', tile: true }).params).toEqual({
      aspect: [3, 2],
      model: 'pocket',
      tile: true,
    });
  });

  it('forget the oldest ancestors', () => {
    let at = recipe;
    for (let i = 0; i < 100; i++) {
      const { parent } = variationOf(jobId, 0, at, 'vary-subtle');
      at = { ...recipe, action: 'vary-subtle', parent };
    }
    expect(lineage(at).length).toBeLessThanOrEqual(MAX_LINEAGE);
    expect(recipeSchema.safeParse(at).success).toBe(true);
  });

  it('forget them sooner where prompts are long, but never the nearest', () => {
    const long = { ...recipe, prompt: `${'fox '.repeat(1400)}--seed 7` };
    let at: Recipe = long;
    for (let i = 0; i < 30; i++)
      at = { ...long, action: 'vary-subtle', parent: variationOf(jobId, 0, at, 'vary-subtle').parent };
    expect(JSON.stringify(at).length).toBeLessThan(50_000);
    expect(lineage(at).length).toBeGreaterThan(2);
    const huge = { ...long, negative: 'x'.repeat(40_000) };
    expect(variationOf(jobId, 0, huge, 'vary-subtle').parent?.recipe).toEqual(huge);
  });

  it('draw seeds that differ by job and stay', () => {
    expect(seedFrom(jobId)).toBe(seedFrom(jobId));
    const seeds = Array.from({ length: 100 }, (_, i) => seedFrom(`${jobId}.${i}`));
    expect(new Set(seeds).size).toBe(100);
    expect(seeds.every((seed) => seed >= 0 && seed <= 0xffffffff)).toBe(true);
  });
});

describe('errors', () => {
  const context = { locale: 'en-US', errorId: 'abcd1234' };

  it('have words for everything the parser finds', () => {
    for (const code of PROBLEM_CODES) expect(languages.en).toHaveProperty([`problem.${code}` as MessageKey]);
  });

  it('stay inside Discord’s limits, whatever was typed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 6000 }), (noise) => {
        const typed = `${noise} --chas 3 --ar x --stylize ${noise.slice(0, 200)} \`\`\``.slice(0, 6000);
        const parsed = parsePrompt(typed);
        if (parsed.ok) return;
        const lines = describeProblems('en-US', typed, parsed.problems);
        const payload = presentError(new UserError('prompt', { lines, fix: jobId }), { ...context, typed });
        const embed = payload.embeds?.[0];
        const sum = `${embed?.title}${embed?.description}${embed?.footer?.text ?? ''}`.length;
        expect(embed?.description?.length).toBeLessThanOrEqual(4096);
        expect(embed?.footer?.text.length ?? 0).toBeLessThanOrEqual(2048);
        expect(sum).toBeLessThanOrEqual(6000);
        expect(lines.match(/```/g)).toHaveLength(2);
        expect(payload.allowed_mentions).toEqual({ parse: [] });
      }),
      { numRuns: 200 },
    );
  });

  it('of ours show a number and nothing of the cause', () => {
    const payload = presentError(new Error('secret'), { ...context, typed: 'secret' });
    expect(JSON.stringify(payload)).not.toContain('secret');
    expect(payload.embeds?.[0]?.footer?.text).toBe('Error abcd1234');
  });

  it('knows Redis being away from everything else', () => {
    for (const message of [
      "Stream isn't writeable and enableOfflineQueue options is false",
      'Connection is closed.',
      'Command timed out',
      "OOM command not allowed when used memory > 'maxmemory'.",
      'MISCONF Redis is configured to save RDB snapshots',
      'LOADING Redis is loading the dataset in memory',
      'connect ECONNREFUSED 127.0.0.1:6379',
    ])
      expect(isRedisAway(new Error(message)), message).toBe(true);
    expect(isRedisAway(new Error('cannot read properties of undefined'))).toBe(false);
    expect(isRedisAway('Command timed out')).toBe(false);
  });
});

describe('commands', () => {
  it('are named in every language, each name once', () => {
    for (const language of Object.keys(languages).filter((name) => name !== 'en')) {
      const names = definitions().map(({ name_localizations }) => Object.entries(name_localizations ?? {}));
      for (const entries of names) expect(entries.map(([locale]) => locale)).toContain(language);
      const own = names.map((entries) => entries.find(([locale]) => locale === language)?.[1]);
      expect(new Set(own).size).toBe(commands.size + messageApps.size);
    }
  });
});
