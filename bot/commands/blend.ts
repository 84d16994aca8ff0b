import { ApplicationCommandOptionType } from 'discord.js';
import { languageOf, languages, say } from '../../shared/messages/index.ts';
import { parameterFor, parameterOf } from '../../shared/picture/params.ts';
import type { Blended } from '../../shared/picture/recipe.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { Draft } from '../submit/drafts.ts';
import { GRID } from '../submit/drafts.ts';
import { paintingModel } from '../submit/expandPrompts.ts';
import { takeImagePrompt } from '../submit/imagePrompt.ts';
import { begin, submit } from '../submit/submit.ts';
import { type Command, completeModel, EVERYWHERE, named } from './command.ts';

const IMAGES = ['image1', 'image2', 'image3', 'image4', 'image5'] as const;
const SHAPES: Readonly<Record<'portrait' | 'square' | 'landscape', [number, number]>> = {
  portrait: [2, 3],
  square: [1, 1],
  landscape: [3, 2],
};
type Shape = keyof typeof SHAPES;

/** Two to five pictures into four new ones; no words. */
export const blendCommand: Command = {
  kind: 'message',
  definition: {
    ...named('blend'),
    ...EVERYWHERE,
    options: [
      ...IMAGES.map((name, i) => ({
        ...named(`blend.${name}`),
        type: ApplicationCommandOptionType.Attachment as const,
        required: i < 2,
      })),
      {
        ...named('blend.weights'),
        type: ApplicationCommandOptionType.String,
        max_length: 60,
      },
      {
        ...named('blend.model'),
        type: ApplicationCommandOptionType.String,
        max_length: 64,
        autocomplete: true,
      },
      {
        ...named('blend.dimensions'),
        type: ApplicationCommandOptionType.String,
        choices: (Object.keys(SHAPES) as Shape[]).map((value) => ({
          name: say('en-US', `blend.${value}`),
          name_localizations: Object.fromEntries(
            Object.keys(languages)
              .filter((language) => language !== languageOf('en-US'))
              .map((language) => [language, say(language, `blend.${value}`)]),
          ),
          value,
        })),
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const { options } = interaction;
    const attached = IMAGES.flatMap((name) => options.getAttachment(name) ?? []);
    const shares = readShares(options.getString('weights'), attached.length);
    const { models, model } = await paintingModel(app, asker, options.getString('model'));
    const shape = (options.getString('dimensions') ?? 'square') as Shape;
    const draft: Draft = {
      action: 'blend',
      prompt: promptOf(asker.locale, attached.length, shares),
      parts: [{ text: '', weight: 1 }],
      negative: '',
      // A model with one shape takes no --ar.
      params: parameterFor(parameterOf('aspect')!, models.get(model)).supported
        ? { aspect: SHAPES[shape] }
        : {},
      model,
      count: GRID,
    };
    if (!(await begin(app, asker, [draft]))) return;
    const blend: Blended[] = [];
    for (const [i, file] of attached.entries()) {
      const image = await takeImagePrompt(app, asker, file, []);
      if (image) blend.push({ ...image, ...(shares ? { share: shares[i] } : {}) });
    }
    await submit(app, asker, answer, [{ ...draft, blend }]);
  },
  complete: completeModel,
};

/**
 * `2, 1` or `70 30`: one number a picture, above 0; only their ratio counts.
 * @returns the share of each; undefined where none was typed
 * @throws UserError('blend-weights')
 */
export function readShares(typed: string | null, pictures: number): number[] | undefined {
  const words = (typed ?? '').split(/[\s,;:/]+/).filter((word) => word !== '');
  if (words.length === 0) return undefined;
  const weights = words.map((word) => Number(word.replace(/%$/, '')));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map((weight) => Math.round((weight / total) * 1e4) / 1e4);
  if (
    words.length !== pictures ||
    !weights.every((weight) => weight > 0) ||
    !shares.every((share) => share > 0 && share < 1)
  )
    throw new UserError('blend-weights', { n: pictures, typed: words.join(', ').slice(0, 60) });
  return shares;
}

function promptOf(locale: string, n: number, shares: readonly number[] | undefined): string {
  const words = say(locale, 'blend.prompt', { n });
  return shares ? `${words}, ${shares.map((share) => `${Math.round(100 * share)} %`).join(' / ')}` : words;
}
