import { randomInt } from 'node:crypto';
import { ApplicationCommandOptionType } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { SAMPLERS, samplerOf } from '../../shared/picture/params.ts';
import { type WayOfPainting, wayOfPainting } from '../../shared/picture/wayOfPainting.ts';
import { MAX_LENGTH, printPrompt } from '../../shared/prompt/index.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import { UserError } from '../../shared/service/errors.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { draftsOf } from '../submit/drafts.ts';
import { readPrompts } from '../submit/prompts.ts';
import { submit } from '../submit/submit.ts';
import { type Choice, type Command, EVERYWHERE, named } from './command.ts';

/** One prompt and one seed on several models or samplers, one picture each, so that only those differ. */
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
    ],
  },
  async run({ app, asker, answer, interaction }) {
    const typed = interaction.options.getString('prompt', true);
    const { prompts, defaultModel } = await readPrompts(app, asker, typed);
    const [only] = prompts;
    if (!only || prompts.length > 1) throw new UserError('too-many', { n: prompts.length, max: 1 });
    const models = listed(interaction.options.getString('models'));
    const samplers = listed(interaction.options.getString('samplers'));
    const installed = await onRedis(app.models());
    const unknown = models.find((name) => !installed.has(name));
    if (unknown) throw new UserError('no-model', { model: unknown });
    const wrong = samplers.find((name) => samplerOf(name) === undefined);
    if (wrong)
      throw new UserError('unknown-sampler', { value: wrong, samplers: Object.keys(SAMPLERS).join(', ') });
    const { model = defaultModel, scheduler, seed = randomInt(2 ** 32), ...params } = only.params;
    // Without names: one model of each way of painting.
    const ways = models.length + samplers.length === 0 ? waysFrom(model, installed) : undefined;
    const names = ways ? ways.map(({ name }) => name) : models.length > 0 ? models : [model];
    const pairs = names.flatMap((name) =>
      (samplers.length > 0 ? samplers.map(samplerOf) : [scheduler]).map(
        (sampler) => [name, sampler] as const,
      ),
    );
    if (pairs.length < 2) throw new UserError('compare-one');
    if (pairs.length > MOST) throw new UserError('too-many', { n: pairs.length, max: MOST });
    const wishes = pairs.map(([name, sampler]) => {
      const own = {
        ...params,
        model: name,
        seed,
        repeat: 1,
        ...(sampler === undefined ? {} : { scheduler: sampler }),
      };
      return { ...only, params: own, text: printPrompt({ ...only, params: own }) };
    });
    const shared = { ...params, seed };
    const compare = {
      prompt: printPrompt({ ...only, params: shared }),
      labels: ways
        ? ways.map(({ name, way }) => `${name} · ${say(asker.locale, `way.${way}`)}`)
        : pairs.map(([name, sampler]) => labelOf(models.length > 1, name, sampler)),
    };
    const drafts = draftsOf(wishes, defaultModel).map((draft) => ({ ...draft, count: 1, compare }));
    await submit(app, asker, answer, drafts);
  },
  /** What is typed so far, with one more name behind it. */
  async complete({ app, interaction }) {
    const { name, value } = interaction.options.getFocused(true);
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

/** The model that would have painted, and the first of every other way. */
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

/** What differs: the sampler, the model, or both. */
const labelOf = (byModel: boolean, model: string, sampler: string | undefined): string => {
  if (sampler === undefined) return model;
  return byModel ? `${model} ${sampler}` : sampler;
};

const listed = (text: string | null): string[] => [
  ...new Set((text ?? '').split(',').flatMap((part) => part.trim() || [])),
];
