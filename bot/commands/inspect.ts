import { type APIEmbedField, ApplicationCommandOptionType, ButtonStyle, ComponentType } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { printCustomId } from '../../shared/picture/customId.ts';
import { type Foreign, readForeign } from '../../shared/picture/foreign/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import type { LoraWish } from '../../shared/picture/lora.ts';
import { samplerOf } from '../../shared/picture/params.ts';
import { readRecipe } from '../../shared/picture/png.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { fetchPicture, IMAGE_LIMITS } from '../../shared/picture/uploadedImage.ts';
import { parsePrompt, printPrompt } from '../../shared/prompt/index.ts';
import { UserError } from '../../shared/service/errors.ts';
import { keepFix } from '../buttons/fix.ts';
import { presentRecipe } from '../history/inspectView.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { mayInspect } from '../submit/admission.ts';
import { fetchRules, limited } from '../submit/imagePrompt.ts';
import { type KnownLoras, lorasHere } from '../submit/loras.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** How a picture was painted, by us or by another program, and a form that paints it here. */
export const inspectCommand: Command = {
  kind: 'private',
  definition: {
    ...named('inspect'),
    ...EVERYWHERE,
    options: [{ ...named('inspect.image'), type: ApplicationCommandOptionType.Attachment, required: true }],
  },
  async run({ app, asker, answer, interaction }) {
    const { url, size } = interaction.options.getAttachment('image', true);
    if (size > IMAGE_LIMITS.bytes)
      throw new UserError('image-bytes', { max: IMAGE_LIMITS.bytes / 1024 / 1024 });
    await mayInspect(app, asker);
    const bytes = await limited(asker.user.id, () => fetchPicture(url, fetchRules(app.env)));
    const ours = readRecipe(bytes);
    const foreign = ours ? undefined : await readForeign(bytes);
    const known = await lorasHere(app, asker.guildId, foreign, await onRedis(app.models()));
    const view = ours
      ? presentRecipe(asker.locale, ours, undefined)
      : foreign && presentForeign(asker.locale, foreign, known);
    if (!view) throw new UserError('no-recipe');
    const text = ours ? textOfRecipe(ours) : textOfForeign(foreign as Foreign, known.loras);
    const kept = text !== '' && (await keepFix(app, asker, { text }));
    await answer.send({ ...view, components: kept ? [again(asker.locale, asker.interactionId)] : [] });
  },
};

/** Opens the form with the prompt in it, as Fix it does. */
const again = (locale: string, jobId: string) => ({
  type: ComponentType.ActionRow,
  components: [
    {
      type: ComponentType.Button,
      style: ButtonStyle.Primary,
      label: say(locale, 'button.run-again'),
      custom_id: printCustomId({ action: 'fix', index: 0, jobId }),
    },
  ],
});

/** The prompt with the recipe's seed; a variation's seed is left out: it means nothing without the parent. */
function textOfRecipe({ action, prompt, seed }: Recipe): string {
  const parsed = parsePrompt(prompt);
  const only = parsed.ok && parsed.prompts.length === 1 ? parsed.prompts[0] : undefined;
  if (!only || action !== 'imagine') return prompt;
  return printPrompt({ ...only, params: { ...only.params, seed } });
}

const MAX_SEED = 0xffffffff;
const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

function textOfForeign(
  { prompt: words, negative, seed, sampler, width = 0, height = 0 }: Foreign,
  loras: readonly LoraWish[],
): string {
  // Installed LoRAs are appended to the prompt.
  const prompt = words
    .replace(/<(?:lora|lyco):[^<>]*>/gi, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  if (prompt === '') return '';
  const by = gcd(width, height) || 1;
  const aspect: [number, number] = [width / by, height / by];
  const known = sampler === undefined ? undefined : samplerOf(sampler);
  return printPrompt({
    prompt,
    negative,
    params: {
      ...(aspect.every((side) => Number.isInteger(side) && side >= 1 && side < 1000) ? { aspect } : {}),
      ...(typeof seed === 'number' && seed <= MAX_SEED ? { seed } : {}),
      ...(known === undefined ? {} : { scheduler: known }),
      ...(loras.length === 0 ? {} : { loras: [...loras] }),
    },
  });
}

function presentForeign(locale: string, foreign: Foreign, { missing, denied }: KnownLoras): object {
  const {
    tool,
    prompt,
    negative,
    seed,
    steps,
    guidance,
    sampler,
    width,
    height,
    model,
    loras = [],
  } = foreign;
  const used = loras.map(({ name, weight }) => (weight === undefined ? name : `${name}:${weight}`));
  const field = (
    key:
      | 'model'
      | 'seed'
      | 'size'
      | 'steps'
      | 'guidance'
      | 'scheduler'
      | 'negative'
      | 'loras'
      | 'missing-loras'
      | 'denied-loras',
    value: string | number | undefined,
  ): APIEmbedField[] =>
    value === undefined || value === ''
      ? []
      : [
          {
            name: say(locale, `recipe.${key}`),
            value: escapeMarkdown(String(value)).slice(0, 1000),
            inline: !['negative', 'loras', 'missing-loras', 'denied-loras'].includes(key),
          },
        ];
  return {
    content: '',
    embeds: [
      {
        title: say(locale, 'recipe.title'),
        description: escapeMarkdown(prompt).slice(0, 3000) || '…',
        fields: [
          ...field('model', model),
          ...field('seed', seed),
          ...field('size', width && height ? `${width} × ${height}` : undefined),
          ...field('steps', steps),
          ...field('guidance', guidance),
          ...field('scheduler', sampler),
          ...field('negative', negative),
          ...field('loras', used.join(', ')),
          ...field('missing-loras', missing.join(', ')),
          ...field('denied-loras', denied.join(', ')),
        ],
        footer: { text: tool },
      },
    ],
    allowed_mentions: { parse: [] },
  };
}
