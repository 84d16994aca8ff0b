import { ApplicationCommandOptionType } from 'discord.js';
import { readSettings } from '../../shared/memory/settings.ts';
import { languageOf, languages, say } from '../../shared/messages/index.ts';
import { parameterFor, parameterOf } from '../../shared/picture/params.ts';
import { UserError } from '../../shared/service/errors.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Draft } from '../submit/drafts.ts';
import { GRID } from '../submit/drafts.ts';
import { takeImagePrompt } from '../submit/imagePrompt.ts';
import { modelFor } from '../submit/prompts.ts';
import { begin, submit } from '../submit/submit.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

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
    const [models, settings] = await onRedis(
      Promise.all([app.models(), readSettings(app.redis, asker.user.id)]),
    );
    if (models.size === 0) throw new UserError('no-worker');
    const model = modelFor(models, settings.model ?? app.env.DEFAULT_MODEL);
    const shape = (options.getString('dimensions') ?? 'square') as Shape;
    const draft: Draft = {
      action: 'blend',
      prompt: say(asker.locale, 'blend.prompt', { n: attached.length }),
      parts: [{ text: '', weight: 1 }],
      negative: '',
      // A model of one shape takes none.
      params: parameterFor(parameterOf('aspect')!, models.get(model)).supported
        ? { aspect: SHAPES[shape] }
        : {},
      model,
      count: GRID,
    };
    if (!(await begin(app, asker, [draft]))) return;
    const blend: { key: string }[] = [];
    for (const file of attached) {
      const image = await takeImagePrompt(app, asker, file, []);
      if (image) blend.push(image);
    }
    await submit(app, asker, answer, [{ ...draft, blend }]);
  },
};
