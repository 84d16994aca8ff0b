import { randomInt } from 'node:crypto';
import { ApplicationCommandOptionType } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { type LoraWish, MAX_LORA_WEIGHT } from '../../shared/picture/lora.ts';
import { SAMPLERS, samplerOf } from '../../shared/picture/params.ts';
import { type WayOfPainting, wayOfPainting } from '../../shared/picture/wayOfPainting.ts';
import { MAX_LENGTH, printPrompt } from '../../shared/prompt/index.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { UserError } from '../../shared/service/errors.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer } from '../server/settings.ts';
import { draftsOf } from '../submit/drafts.ts';
import { readPrompts } from '../submit/expandPrompts.ts';
import { completeLoras, mayUse, permitted, readLoraList, usableLoras } from '../submit/loras.ts';
import { submit } from '../submit/submit.ts';
import { type Choice, type Command, EVERYWHERE, named } from './command.ts';

/** /compare: one prompt and one seed on several models, samplers or LoRAs, one picture each; at most 6. */
const MOST = 6;

export const compareCommand: Command = {
  kind: 'message',
  definition: {
    ...named('compare'),
    ...EVERYWHERE,
    options: [
      {
        ...named('compare.prompt'),
        type: ApplicationCommandOptionType.String,
        required: true,
        max_length: Math.min(6000, MAX_LENGTH),
      },
      {
        ...named('compare.models'),
        type: ApplicationCommandOptionType.String,
        max_length: 400,
        autocomplete: true,
      },
      {
        ...named('compare.samplers'),
        type: ApplicationCommandOptionType.String,
        max_length: 400,
        autocomplete: true,
      },
      {
        ...named('compare.loras'),
        type: ApplicationCommandOptionType.String,
        max_length: 400,
        autocomplete: true,
      },
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const typed = interaction.options.getString('prompt', true);
    const { prompts, defaultModel } = await readPrompts(app, asker, typed);
    const [only] = prompts;
    if (!only || prompts.length > 1) throw new UserError('too-many', { n: prompts.length, max: 1 });
    const models = listed(interaction.options.getString('models'));
    const samplers = listed(interaction.options.getString('samplers'));
    const [installed, { loras: rules }] = await onRedis(
      Promise.all([app.models(), readServer(app.redis, asker.guildId)]),
    );
    const unknown = models.find((name) => !installed.has(name));
    if (unknown) throw new UserError('no-model', { model: unknown });
    const wrong = samplers.find((name) => samplerOf(name) === undefined);
    if (wrong)
      throw new UserError('unknown-sampler', { value: wrong, samplers: Object.keys(SAMPLERS).join(', ') });
    const { model = defaultModel, scheduler, seed = randomInt(2 ** 32), ...params } = only.params;
    const loras = readLoras(interaction.options.getString('loras') ?? '', installed);
    const permittedHere = permitted(installed, rules);
    // Without names: one model of each way of painting.
    const unnamed = models.length + samplers.length + loras.length === 0;
    const ways = unnamed ? waysFrom(model, installed) : undefined;
    const names = ways ? ways.map(({ name }) => name) : models.length > 0 ? models : [model];
    const pairs = names.flatMap((name) =>
      (samplers.length > 0 ? samplers.map(samplerOf) : [scheduler]).flatMap((sampler) =>
        (loras.length > 0 ? loras : [undefined]).map((lora) => ({ name, sampler, lora })),
      ),
    );
    for (const { name, lora } of pairs) checkLora(permittedHere.get(name), lora, mayUse(rules));
    if (pairs.length < 2) throw new UserError('compare-one');
    if (pairs.length > MOST) throw new UserError('too-many', { n: pairs.length, max: MOST });
    const wishes = pairs.map(({ name, sampler, lora }) => {
      const own = {
        ...params,
        model: name,
        seed,
        repeat: 1,
        ...(sampler === undefined ? {} : { scheduler: sampler }),
        ...(lora ? { loras: [...(params.loras ?? []).filter((each) => each.name !== lora.name), lora] } : {}),
      };
      return { ...only, params: own, text: printPrompt({ ...only, params: own }) };
    });
    const shared = { ...params, seed };
    const compare = {
      prompt: printPrompt({ ...only, params: shared }),
      labels: ways
        ? ways.map(({ name, way }) => `${name} · ${say(asker.locale, `way.${way}`)}`)
        : pairs.map((pair) => labelOf(pair, models.length > 1, samplers.length > 1)),
    };
    const drafts = draftsOf(wishes, defaultModel).map((draft) => ({ ...draft, count: 1, compare }));
    await submit(app, asker, answer, drafts);
  },
  /** Suggests the typed list with one more name appended. */
  async complete({ app, interaction }) {
    const { name, value } = interaction.options.getFocused(true);
    if (name === 'loras') {
      const { loras: rules } = await onRedis(readServer(app.redis, interaction.guildId ?? undefined));
      return completeLoras(value, usableLoras(permitted(await app.models(), rules)));
    }
    const names = name === 'models' ? [...(await app.models()).keys()] : Object.keys(SAMPLERS);
    const parts = value.split(',');
    const last = (parts.pop() ?? '').trim().toLowerCase();
    const before = listed(parts.join(','));
    return names
      .filter((known) => known.toLowerCase().includes(last) && !before.includes(known))
      .map((known): Choice => {
        const all = [...before, known].join(', ').slice(0, 100);
        return { name: all, value: all };
      });
  },
};

/** The default model, and the first model of every other way of painting. */
function waysFrom(
  first: string,
  installed: ReadonlyMap<string, ModelCard>,
): { name: string; way: WayOfPainting }[] {
  const found = new Map<WayOfPainting, string>();
  const own = installed.get(first);
  for (const card of [...(own ? [own] : []), ...installed.values()]) {
    const way = wayOfPainting(card.family);
    if (!found.has(way)) found.set(way, card.name);
  }
  return [...found].map(([way, name]) => ({ name, way }));
}

interface Pair {
  readonly name: string;
  readonly sampler: string | undefined;
  readonly lora: LoraWish | undefined;
}

/** The label of one picture: its model, sampler or LoRA, whichever differ. */
const labelOf = ({ name, sampler, lora }: Pair, byModel: boolean, bySampler: boolean): string => {
  const words = [
    ...(byModel || (sampler === undefined && !lora) ? [name] : []),
    ...(sampler !== undefined && (bySampler || !lora) ? [sampler] : []),
    ...(lora ? [`${lora.name} ${lora.weight}`] : []),
  ];
  return words.join(' ');
};

/** @throws UserError('out-of-range') */
function readLoras(text: string, models: ReadonlyMap<string, ModelCard>): LoraWish[] {
  const wishes = readLoraList(text, usableLoras(models));
  if (wishes.some(({ weight }) => !(Math.abs(weight) <= MAX_LORA_WEIGHT)))
    throw new UserError('out-of-range', { parameter: '--lora', min: -MAX_LORA_WEIGHT, max: MAX_LORA_WEIGHT });
  return wishes;
}

/** @throws UserError where the server does not allow the LoRA, or the model does not take it */
function checkLora(
  card: ModelCard | undefined,
  lora: LoraWish | undefined,
  allowed: (name: string) => boolean,
): void {
  if (!card || !lora) return;
  const fitting = usableLoras(new Map([[card.name, card]])).map(({ name }) => name);
  if (fitting.includes(lora.name)) return;
  const code = allowed(lora.name) ? 'unknown-lora' : 'lora-denied';
  throw new UserError(code, { value: lora.name, loras: fitting.slice(0, 25).join(', ') || '–' });
}

const listed = (text: string | null): string[] => [
  ...new Set((text ?? '').split(',').flatMap((part) => part.trim() || [])),
];
