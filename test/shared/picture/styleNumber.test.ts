import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resolveRecipe } from '../../../shared/picture/resolve.ts';
import { mixtureOf, styledParts, styleStrength } from '../../../shared/picture/styleNumber.ts';
import { drawStyle, parsePrompt } from '../../../shared/prompt/index.ts';
import { makeRequest } from '../../support/jobs.ts';
import { card } from '../prompt/models.ts';

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('a style number', () => {
  it('is the same mixture for ever', () => {
    expect(mixtureOf(0)).toMatchInlineSnapshot(`
      [
        {
          "phrase": "pencil drawing",
          "share": 0.620621,
        },
        {
          "phrase": "watercolor",
          "share": 0.207316,
        },
        {
          "phrase": "comic book",
          "share": 0.172064,
        },
      ]
    `);
    expect(mixtureOf(1234)).toMatchInlineSnapshot(`
      [
        {
          "phrase": "cinematic",
          "share": 0.589535,
        },
        {
          "phrase": "pencil drawing",
          "share": 0.321347,
        },
        {
          "phrase": "muted colors",
          "share": 0.089118,
        },
      ]
    `);
    expect(mixtureOf(0xffffffff)).toMatchInlineSnapshot(`
      [
        {
          "phrase": "flat illustration",
          "share": 0.655041,
        },
        {
          "phrase": "cinematic",
          "share": 0.171044,
        },
        {
          "phrase": "soft light",
          "share": 0.173916,
        },
      ]
    `);
  });

  it('mixes two ways to make a picture and its colours, in shares that add up to one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (code) => {
        const mixture = mixtureOf(code);
        expect(new Set(mixture.map(({ phrase }) => phrase)).size).toBe(3);
        expect(sum(mixture.map(({ share }) => share))).toBeCloseTo(1, 5);
        for (const { share } of mixture) expect(share).toBeGreaterThan(0.05);
      }),
    );
    const seen = new Set(Array.from({ length: 1000 }, (_, code) => JSON.stringify(mixtureOf(code))));
    expect(seen.size).toBe(1000);
  });

  it('moves the words without changing their weight; negative parts stay', () => {
    const parts = [
      { text: 'a fox', weight: 1.4 },
      { text: 'snow', weight: -0.4 },
    ];
    for (const sw of [0, 50, 100, 1000]) {
      const styled = styledParts(parts, { codes: [7, 8], strength: styleStrength(sw) });
      expect(sum(styled.map(({ weight }) => weight))).toBeCloseTo(1, 4);
      expect(styled).toContainEqual({ text: 'snow', weight: -0.4 });
    }
    expect(styledParts(parts, { codes: [7], strength: 0 })).toEqual(parts);
    expect(styledParts(parts, undefined)).toEqual(parts);
    expect([0, 50, 100, 1000].map(styleStrength)).toEqual([0, 0.5, 1, 3]);
    expect(styledParts([{ text: '', weight: 1 }], { codes: [7], strength: 1 })).toHaveLength(3);
  });

  it('stands in the recipe; a random one is drawn and shown', () => {
    const recipeOf = (typed: string) => {
      const parsed = parsePrompt(typed);
      if (!parsed.ok) throw new Error(typed);
      const [prompt] = parsed.prompts.map((one) => drawStyle(one, () => 99));
      const { text, parts, params } = prompt as NonNullable<typeof prompt>;
      return resolveRecipe(makeRequest({ prompt: text, parts, params, model: 'pocket' }), card());
    };
    expect(recipeOf('a fox --sref 5 7 --sw 50').style).toEqual({ codes: [5, 7], strength: 0.5 });
    expect(recipeOf('a fox --sref random')).toMatchObject({
      prompt: 'a fox --sref 99',
      style: { codes: [99], strength: 1 },
    });
    expect(recipeOf('a fox --sref 5 --sw 0')).not.toHaveProperty('style');
    expect(recipeOf('a fox --sw 300')).not.toHaveProperty('style');
  });
});
