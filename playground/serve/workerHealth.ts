import type { Json } from '../world/types.ts';

/**
 * Health of bot and worker, read from their health ports (`/readyz`, `/metrics`), as by any monitoring. Without their
 * addresses it is unknown, and the page says so.
 */
export interface UnderneathOptions {
  /** `http://127.0.0.1:port` of the bot's and the worker's health ports. */
  bot: string;
  worker: string;
  /** Kills the worker's process; its launcher starts it again. Absent where no launcher would. */
  killWorker?: (() => void) | undefined;
}

export interface Underneath {
  /** '' = the bot can work; else why not; undefined = it does not answer. */
  bot: string | undefined;
  worker: string | undefined;
  /** Numbers of picture jobs by their owners' lane. */
  lanes: { lane: string; waiting: number; running: number }[];
  /** Deliver jobs on their way to Discord, or waiting for a retry. */
  posting: number | undefined;
  /** Denoising steps a second of a whole batch, while painting; since the last look, else since the start. */
  stepsPerSecond: number | undefined;
  /** Mean seconds of one picture job. */
  paintSeconds: number | undefined;
  painted: number;
}

const ASK_MS = 1_500;
/** Time between two looks: while a page is open; and while a panel is open or the model is loading. */
const CALM_MS = 3_000;
const BUSY_MS = 700;

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Parses Prometheus' text format, as far as it is used here. */
export function readSamples(text: string): Sample[] {
  return [...text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = '', value]) => ({
    name: name!,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k!, v!])),
    value: Number(value),
  }));
}

const sum = (samples: Sample[], name: string, labels: Record<string, string> = {}): number =>
  samples
    .filter((s) => s.name === name && Object.entries(labels).every(([key, is]) => s.labels[key] === is))
    .reduce((total, s) => total + s.value, 0);

export class UnderneathWatch {
  private readonly options: UnderneathOptions;
  private readonly tell: (state: Underneath) => void;
  /** Whether a panel is open or the model is loading. */
  private readonly close: () => boolean;
  private timer: NodeJS.Timeout | undefined;
  private stopped = true;
  private steps = { count: 0, seconds: 0 };
  state: Underneath | undefined;

  constructor(options: UnderneathOptions, tell: (state: Underneath) => void, close: () => boolean) {
    this.options = options;
    this.tell = tell;
    this.close = close;
  }

  start(): void {
    if (!this.stopped) {
      this.soon();
      return;
    }
    this.stopped = false;
    void this.look();
  }
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }
  /** Looks at once, because a panel was opened. */
  soon(): void {
    if (this.stopped || !this.timer) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    void this.look();
  }

  private async look(): Promise<void> {
    const state = await this.ask();
    if (this.stopped) return;
    const changed = JSON.stringify(state) !== JSON.stringify(this.state);
    this.state = state;
    if (changed) this.tell(state);
    const busy = this.close() || state.worker !== '';
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        void this.look();
      },
      busy ? BUSY_MS : CALM_MS,
    );
  }

  private async ask(): Promise<Underneath> {
    const { bot, worker } = this.options;
    const [botReady, workerReady, botText, workerText] = await Promise.all([
      problemsOf(bot),
      problemsOf(worker),
      textOf(`${bot}/metrics`),
      textOf(`${worker}/metrics`),
    ]);
    const ofBot = readSamples(botText ?? '');
    const ofWorker = readSamples(workerText ?? '');
    const lanes = [
      ...new Set(ofBot.flatMap((s) => (s.name === 'dreamgrid_lane_jobs' ? s.labels['lane']! : []))),
    ];
    const inLane = (lane: string, state: string): number =>
      sum(ofBot, 'dreamgrid_lane_jobs', { lane, state });
    const posting = ['active', 'waiting', 'prioritized', 'delayed'].map((state) =>
      sum(ofBot, 'dreamgrid_queue_jobs', { lane: 'deliver', state }),
    );
    const painted = sum(ofWorker, 'dreamgrid_paint_seconds_count');
    return {
      bot: botReady,
      worker: workerReady,
      lanes: lanes.map((lane) => ({
        lane,
        waiting: inLane(lane, 'waiting'),
        running: inLane(lane, 'running'),
      })),
      posting: botText === undefined ? undefined : posting.reduce((a, b) => a + b, 0),
      stepsPerSecond: this.pace(ofWorker),
      paintSeconds: painted > 0 ? sum(ofWorker, 'dreamgrid_paint_seconds_sum') / painted : undefined,
      painted,
    };
  }

  /** Steps divided by the time they took, not by the time between two looks, which includes pauses. */
  private pace(samples: Sample[]): number | undefined {
    const now = {
      count: sum(samples, 'dreamgrid_step_seconds_count'),
      seconds: sum(samples, 'dreamgrid_step_seconds_sum'),
    };
    const before = now.count < this.steps.count ? { count: 0, seconds: 0 } : this.steps;
    const [count, seconds] = [now.count - before.count, now.seconds - before.seconds];
    if (count > 0) this.steps = now;
    if (count > 0 && seconds > 0) return count / seconds;
    return now.count > 0 ? this.state?.stepsPerSecond : undefined;
  }
}

async function answerOf(url: string): Promise<Response | undefined> {
  return fetch(url, { signal: AbortSignal.timeout(ASK_MS) }).catch(() => undefined);
}

async function textOf(url: string): Promise<string | undefined> {
  return (await answerOf(url))?.text().catch(() => undefined);
}

async function problemsOf(base: string): Promise<string | undefined> {
  const answer = await answerOf(`${base}/readyz`);
  if (!answer) return undefined;
  const body = (await answer.json().catch(() => undefined)) as Json | null | undefined;
  return [body?.['problems'] ?? []].flat().join(' · ');
}
