import { ApplicationCommandOptionType } from 'discord.js';
import { UserError } from '../../shared/service/errors.ts';
import { ask } from '../submit/ask.ts';
import { takeImagePrompt } from '../submit/imagePrompt.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** Four prompts for a picture; seen by the asker, until one of them is painted. */
export const describeCommand: Command = {
  kind: 'private',
  definition: {
    ...named('describe'),
    ...EVERYWHERE,
    options: [
      { ...named('describe.image'), type: ApplicationCommandOptionType.Attachment },
      { ...named('describe.link'), type: ApplicationCommandOptionType.String, max_length: 2000 },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const attached = interaction.options.getAttachment('image') ?? undefined;
    const link = interaction.options.getString('link')?.trim();
    if (!attached && !link) throw new UserError('no-image');
    await ask(app, asker, answer, async () => {
      const image = await takeImagePrompt(app, asker, attached, attached || !link ? [] : [link]);
      if (!image) throw new UserError('no-image');
      const suffix = shapeOf((await app.store.get(image.key)) ?? Buffer.alloc(0));
      return { kind: 'describe', image, suffix };
    });
  },
};

const RATIOS: readonly (readonly [number, number])[] = [
  [1, 1],
  [5, 4],
  [4, 5],
  [3, 2],
  [2, 3],
  [16, 9],
  [9, 16],
  [2, 1],
  [1, 2],
];

/** `--ar` of a PNG of ours, by its header (PNG specification, 11.2.2); nothing for squares. */
function shapeOf(png: Buffer): string {
  if (png.length < 24) return '';
  const ratio = Math.log(png.readUInt32BE(16) / png.readUInt32BE(20));
  const off = ([w, h]: readonly [number, number]): number => Math.abs(Math.log(w / h) - ratio);
  const [w, h] = RATIOS.reduce((best, next) => (off(next) < off(best) ? next : best));
  return w === h ? '' : `--ar ${w}:${h}`;
}
