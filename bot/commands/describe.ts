import { ApplicationCommandOptionType } from 'discord.js';
import { readForeign } from '../../shared/picture/foreign/index.ts';
import type { LoraWish } from '../../shared/picture/lora.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import { ask } from '../submit/ask.ts';
import { paintingModel } from '../submit/expandPrompts.ts';
import { takeImageFile } from '../submit/imagePrompt.ts';
import { lorasHere } from '../submit/loras.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** /describe: four prompts for a picture, in a message for the asker alone. */
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
      const taken = await takeImageFile(app, asker, attached, attached || !link ? [] : [link]);
      if (!taken) throw new UserError('no-image');
      const { image, bytes } = taken;
      const shape = shapeOf((await app.store.get(image.key)) ?? Buffer.alloc(0));
      return { kind: 'describe', image, suffix: withLoras(shape, await lorasOf(app, asker, bytes)) };
    });
  },
};

/** The LoRAs that another program painted the picture with, as far as the member's next picture can have them. */
async function lorasOf(app: App, asker: Asker, bytes: Buffer): Promise<readonly LoraWish[]> {
  const foreign = await readForeign(bytes);
  if (!foreign?.loras) return [];
  const { models, model } = await paintingModel(app, asker, null);
  const own = models.get(model);
  if (!own) return [];
  return (await lorasHere(app, asker.guildId, foreign, new Map([[model, own]]))).loras;
}

/** Longest `suffix` of a describe question, as `askSchema` limits it. */
const SUFFIX_MAX = 100;

const withLoras = (shape: string, loras: readonly LoraWish[]): string =>
  loras
    .map(({ name, weight }) => `--lora ${name}:${weight}`)
    .reduce((text, lora) => {
      const longer = text === '' ? lora : `${text} ${lora}`;
      return longer.length > SUFFIX_MAX ? text : longer;
    }, shape);

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
