import { ApplicationCommandOptionType } from 'discord.js';
import { readFavourites, readHistory, readJobs } from '../../shared/memory/jobRecords.ts';
import { languageOf } from '../../shared/messages/index.ts';
import { show } from '../history/show.ts';
import { type Command, EVERYWHERE, named } from './command.ts';

/** Latest jobs that suggestions search. */
const RECENT = 200;
const SUGGESTED = 25;

export const showCommand: Command = {
  kind: 'message',
  definition: {
    ...named('show'),
    ...EVERYWHERE,
    options: [
      {
        ...named('show.job_id'),
        type: ApplicationCommandOptionType.String,
        required: true,
        max_length: 200,
        autocomplete: true,
      },
    ],
  },
  run: ({ app, asker, answer, interaction }) =>
    show(app, asker, answer, interaction.options.getString('job_id', true)),
  /** Suggests the member's favourites, then latest jobs, by words of the prompt or the start of the job id. */
  async complete({ app: { redis }, interaction }) {
    const typed = interaction.options.getFocused().trim().toLowerCase();
    const { id } = interaction.user;
    const [favourites, history] = await Promise.all([
      readFavourites(redis, id),
      readHistory(redis, id, RECENT),
    ]);
    const kept = new Set(favourites.map(({ jobId }) => jobId));
    const jobs = await readJobs(redis, [...new Set([...kept, ...history])]);
    const day = new Intl.DateTimeFormat(languageOf(interaction.locale), { month: 'short', day: 'numeric' });
    return jobs
      .filter((job) => job?.userId === id)
      .flatMap((job) => job ?? [])
      .filter(({ jobId, prompt }) => jobId.startsWith(typed) || prompt.toLowerCase().includes(typed))
      .slice(0, SUGGESTED)
      .map(({ jobId, prompt, at }) => {
        const heart = kept.has(jobId) ? '❤️ ' : '';
        const end = ` · ${day.format(at)}`;
        return { name: `${heart}${[...prompt].slice(0, 80).join('')}${end}`.slice(0, 100), value: jobId };
      });
  },
};
