import { parsePrompt } from '../../prompt/index.ts';
import type { Recipe } from '../recipe.ts';
import { readParameters } from './a1111.ts';
import { type Foreign, toForeign } from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * A picture of ours by its recipe. Its own seed is in `parameters`, since a grid's pictures share one recipe;
 * without `parameters` it is the first picture's seed.
 */
export function fromRecipe(recipe: Recipe, parameters: string | undefined): Foreign {
  const parsed = parsePrompt(recipe.prompt);
  const only = parsed.ok && parsed.prompts.length === 1 ? parsed.prompts[0] : undefined;
  const own = parameters === undefined ? undefined : readParameters(parameters)?.seed;
  return toForeign({
    tool: 'Dreamgrid',
    prompt: only?.prompt ?? recipe.prompt,
    negative: recipe.negative,
    seed: own ?? recipe.seed,
    steps: recipe.steps,
    guidance: recipe.guidance,
    width: recipe.width,
    height: recipe.height,
    sampler: samplerNamed(recipe.scheduler),
    model: recipe.model,
  });
}
