import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { InteractionHandle, MessageView } from '../../playground/index.ts';
import { openStore } from '../../shared/picture/openStore.ts';
import { readRecipe } from '../../shared/picture/png.ts';
import { readEnv } from '../../shared/service/env.ts';
import { CANARY, countOpen, ENGLISH, startFaultStack, until } from '../support/faults.ts';
import { startProxy } from '../support/proxy.ts';
import { openRandom, type Random } from '../support/random.ts';
import { startRelay } from '../support/relay.ts';
import { startS3rver } from '../support/s3.ts';
import { isGrid, isSingle } from '../support/stack.ts';
import { type Entry, isFinal, judge } from './model.ts';
import { type Asked, act, type Channel } from './people.ts';
import { repaint } from './repaint.ts';
import { openWeather } from './weather.ts';

export interface StormOptions {
  /** Interactions that ask for a picture or an answer. */
  jobs: number;
  seed: number;
  /** Nobody asks for more after so long, whatever `jobs` says. */
  minutes?: number;
  workers?: number;
  /** Who click at the same time: enough to keep the workers busy while one of them is being replaced. */
  people?: number;
  /** Pictures in a bucket that comes and goes, instead of a folder. */
  bucket?: boolean;
  /** Also the troubles that take long to pass. */
  long?: boolean;
  /** Pictures that are painted again and compared. */
  samples?: number;
  log?: (line: string) => void;
}

export interface StormReport {
  wrong: string[];
  figures: Record<string, number>;
  troubles: Record<string, number>;
}

/** Acts from one trouble to the next, at most. */
const LULL = 24;
/** A job that nothing holds up any more is done by then. */
const CALM_MS = 180_000;

const isRefused = ({ message, followups }: InteractionHandle): boolean =>
  [message, ...followups].some((one) => one?.embeds[0]?.['title'] === 'Try again in a moment');

/** Plays a storm and asks the reference model what it left. Everything real, the order of events from the seed. */
export async function playStorm(options: StormOptions): Promise<StormReport> {
  const {
    jobs,
    seed,
    minutes = Infinity,
    workers = 2,
    people: crowd = 24,
    bucket = false,
    long = false,
    samples = 8,
    log = () => undefined,
  } = options;
  const began = performance.now();
  const random = openRandom(seed);
  const s3 = bucket ? await startS3rver() : undefined;
  const bucketProxy = s3 && (await startProxy(s3.port));
  const stack = await startFaultStack({
    env: {
      ...(s3 && bucketProxy ? { ...s3.env, S3_ENDPOINT: `http://127.0.0.1:${bucketProxy.port}` } : {}),
      MAX_OPEN_JOBS: '40',
      MAX_RUNNING_JOBS: '40',
      SLOW_MODE_WAIT_S: '0',
    },
    startMs: 300_000,
  });
  const relay = await startRelay(stack.playground.url);
  const [botProxy, workerProxy] = await Promise.all([
    startProxy(stack.redis.port),
    startProxy(stack.redis.port),
  ]);
  const through = (port: number): string => stack.redis.url.replace(String(stack.redis.port), String(port));
  try {
    const weather = await openWeather(
      {
        stack,
        relay,
        proxies: { bot: botProxy, workers: workerProxy },
        bucket: bucketProxy,
        workers,
        startBot: () =>
          stack.start('bot/main.ts', 'bot ready', {
            DISCORD_API: relay.api,
            REDIS_URL: through(botProxy.port),
          }),
        startWorker: () =>
          stack.start('worker/main.ts', 'worker ready', { REDIS_URL: through(workerProxy.port) }),
      },
      long,
    );
    const { playground } = stack;
    const channel: Channel = { finished: [], open: new Set(), asides: new Set() };
    const all: Asked[] = [];
    const people = Array.from({ length: crowd }, (_, i) => playground.join(`person ${i + 1}`));

    const follow = async (asked: Asked): Promise<void> => {
      const { handle } = asked;
      if (handle.state === 'acknowledged')
        await playground
          .waitFor(() => !handle.message || isFinal(handle.message), CALM_MS)
          .catch(() => undefined); // the model will say what it is left as
      asked.endedAt = performance.now();
      channel.open.delete(asked);
      if (handle.message && isGrid(handle.message)) channel.finished.push(asked);
      if (channel.finished.length > 200) channel.finished.shift();
    };
    let untilTrouble = random.between(4, LULL);
    let n = 0;
    const person = async (who: string): Promise<void> => {
      while (all.length < jobs && performance.now() < began + minutes * 60_000) {
        if (--untilTrouble <= 0) {
          untilTrouble = random.between(4, LULL);
          weather.strike(random);
        }
        const asked = await act(stack, channel, random, n++, who).catch((error: Error) => {
          if (error.name === 'ClientRefusal') return [];
          throw error;
        });
        all.push(...asked);
        if (all.length % 100 < asked.length)
          log(`${all.length} jobs, ${((performance.now() - began) / 1000).toFixed(0)} s`);
        await Promise.all(asked.map(follow));
        // Who is told to try again in a moment does: or one outage would be met by thousands of clicks.
        if (asked.some(({ handle }) => isRefused(handle)))
          await new Promise((over) => setTimeout(over, 1_000));
      }
    };
    await Promise.all(people.map(person));
    await weather.calm();
    log('calm; waiting for the last jobs');
    await until(async () => (await countOpen(stack.queues)) === 0, 'an empty queue', CALM_MS).catch(
      () => undefined, // the model will say so
    );
    // A reservation of a killed bot falls when its owner next asks, 10 s later.
    const { client } = stack.redis;
    const reserved = (): Promise<string[]> => client.zrange('{dreamgrid}:open', '0', '-1');
    const left = await reserved();
    if (left.length > 0) log(`${left.length} reservations of killed bots; their owners ask once more`);
    const ownersOf = (jobIds: string[]): string[] => {
      const ids = new Set(jobIds.map((jobId) => jobId.split('.')[0]));
      return [...new Set(all.flatMap(({ handle, who }) => (ids.has(handle.id) ? who : [])))];
    };
    await until(async () => {
      for (const who of ownersOf(await reserved())) {
        const prompt = `${CANARY.prompt} last word`;
        const asked: Asked = {
          handle: await playground.run(who, 'imagine', { prompt }, ENGLISH),
          who,
          mark: 'last word',
          repeat: 1,
          hidden: false,
          cancelAsked: false,
          deleteAsked: false,
          at: performance.now(),
          endedAt: undefined,
        };
        all.push(asked);
        await follow(asked);
      }
      return (await reserved()).length === 0;
    }, 'no reservation').catch(() => undefined);
    // Files of killed writers fall when a process starts an hour later.
    const half = await stack.temporaryFiles();
    const anHourAgo = Date.now() / 1000 - 3_700;
    await Promise.all(half.map((name) => utimes(join(stack.dataDir, name), anHourAgo, anHourAgo)));
    if (half.length > 0) await stack.startWorker();

    // What the processes logged: starts, and secrets that should not be there.
    const starts = new Map<string, number>();
    const queued = new Set<string>();
    const untold = new Set<string>();
    let painted = 0;
    for (const { events } of stack.processes)
      for (const { msg, jobId, id, interactionId, engineMs } of events) {
        if (msg === 'painting') starts.set(String(jobId), (starts.get(String(jobId)) ?? 0) + 1);
        if (msg === 'queued') queued.add(String(jobId));
        if (msg === 'asked') starts.set(String(id), 1);
        if (msg === 'error not told') untold.add(String(interactionId));
        if (msg === 'painted' && engineMs !== 0) painted++;
      }
    const { kills } = weather;
    const entries: Entry[] = all.map(({ handle, at, endedAt, ...asked }) => ({
      ...asked,
      id: handle.id,
      state: handle.state,
      queued: queued.has(handle.id),
      starts: starts.get(handle.id) ?? 0,
      untold: untold.has(handle.id),
      kills: kills.filter((time) => time > at - 5_000 && time < (endedAt ?? Infinity)).length,
    }));
    const places = [playground.channelId, ...people.map((who) => playground.dm(who))];
    const messages = places.flatMap((place) => playground.messages(place));
    const promptIn = ({ attachments: [file] }: MessageView): string | undefined =>
      file && readRecipe(file.data)?.prompt;
    const wrong = judge({
      entries,
      asides: channel.asides,
      messages,
      channelId: playground.channelId,
      promptIn,
      reservations: await reserved(),
      queued: await countOpen(stack.queues),
      temporary: await stack.temporaryFiles(),
    });
    wrong.push(...playground.violations.map((one) => `refused by Discord's rules: ${JSON.stringify(one)}`));
    const leaks = stack.processes.flatMap(({ log }) => log.leaks());
    wrong.push(...leaks.map((line) => `a secret is in a log: ${line}`));

    for (const [i, line] of wrong.entries()) {
      const id = /^(\d{17,20})\b/.exec(line)?.[1];
      const said = id ? stack.processes.flatMap(({ lines }) => lines).filter((one) => one.includes(id)) : [];
      wrong[i] = [line, ...said.slice(-12).map((one) => `  log ${one.slice(0, 600)}`)].join('\n');
    }

    const pictures = messages.filter((message) => isGrid(message) || isSingle(message));
    const drawn = shuffle(pictures, random).slice(0, samples);
    log(`painting ${drawn.length} of ${pictures.length} pictures again`);
    const repainting = performance.now();
    wrong.push(
      ...(await repaint(stack.env['MODELS_DIR'] as string, await openStore(readEnv(stack.env)), drawn)),
    );
    log(`that took ${((performance.now() - repainting) / 1000).toFixed(0)} s`);
    const counted = (match: (message: MessageView) => boolean): number => messages.filter(match).length;
    return {
      wrong,
      troubles: weather.counts,
      figures: {
        'interactions that asked for a picture or an answer': all.length,
        'not answered by a dead or late bot': all.filter(({ handle }) => handle.state === 'failed').length,
        ...titles(messages),
        'messages with a picture': pictures.length,
        'of these for one person alone': pictures.filter(
          ({ ephemeral, channelId }) => ephemeral || channelId !== playground.channelId,
        ).length,
        'messages deleted by whose they are': all.filter(
          ({ deleteAsked, handle }) => deleteAsked && !handle.message,
        ).length,
        'messages that say cancelled': counted(({ content }) => content.includes('(Cancelled)')),
        'messages that say failed': counted(({ content }) => content.includes('(Failed)')),
        'pictures painted': painted,
        'starts of a job beyond its first': [...starts.values()].reduce((sum, n) => sum + n - 1, 0),
        'reservations that waited for their owner': left.length,
        'temporary files of killed writers': half.length,
        'pictures painted again and compared': drawn.length,
        'processes started': stack.processes.length,
        seconds: Math.round((performance.now() - began) / 1000),
      },
    };
  } finally {
    await stack.close();
    await relay.close();
    await Promise.all([botProxy.close(), workerProxy.close(), bucketProxy?.close(), s3?.close()]);
  }
}

/** What was answered or refused in private, by the headline of the notice. */
function titles(messages: readonly MessageView[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { ephemeral, loading, attachments, embeds } of messages) {
    if (!ephemeral || loading || attachments.length > 0) continue;
    const name = `told in private: ${String(embeds[0]?.['title'] ?? 'other')}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Fisher and Yates, "Statistical tables", 1938, example 12. */
function shuffle<T>(from: readonly T[], random: Random): T[] {
  const all = [...from];
  for (let i = all.length - 1; i > 0; i--) {
    const j = random.between(0, i);
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}
