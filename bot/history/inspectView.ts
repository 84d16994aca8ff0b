import { ButtonStyle, ComponentType } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { printCustomId } from '../../shared/picture/customId.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import { samplerOf } from '../../shared/picture/params.ts';
import { lineage, type Recipe, seedOf } from '../../shared/picture/recipe.ts';

/** How a picture was painted, and a button that paints it anew where its job is known. Pure. */
export function presentRecipe(locale: string, recipe: Recipe, jobId: string | undefined): object {
  const { model, modelHash, seed, count, width, height, steps, guidance, scheduler, negative } = recipe;
  const field = (
    key: 'model' | 'seed' | 'size' | 'steps' | 'guidance' | 'scheduler' | 'negative' | 'ancestors',
    value: string,
  ) => ({ name: say(locale, `recipe.${key}`), value: value.slice(0, 1000), inline: key !== 'negative' });
  const ancestors = lineage(recipe).length - 1;
  return {
    content: '',
    embeds: [
      {
        title: say(locale, 'recipe.title'),
        description: escapeMarkdown(recipe.prompt).slice(0, 3000) || '…',
        fields: [
          field('model', escapeMarkdown(modelHash === '' ? model : `${model} (${modelHash})`)),
          field('seed', count > 1 ? `${seed}–${seedOf(recipe, count - 1)}` : String(seed)),
          field('size', `${width} × ${height}`),
          field('steps', String(steps)),
          field('guidance', String(guidance)),
          field('scheduler', samplerOf(scheduler) ?? scheduler),
          ...(ancestors > 0 ? [field('ancestors', String(ancestors))] : []),
          ...(negative === '' ? [] : [field('negative', escapeMarkdown(negative))]),
        ],
      },
    ],
    components:
      jobId === undefined
        ? []
        : [
            {
              type: ComponentType.ActionRow,
              components: [
                {
                  type: ComponentType.Button,
                  style: ButtonStyle.Primary,
                  label: say(locale, 'button.run-again'),
                  custom_id: printCustomId({ action: 'reroll', index: 0, jobId }),
                },
              ],
            },
          ],
    allowed_mentions: { parse: [] },
  };
}
