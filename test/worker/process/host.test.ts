import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type InstalledModel, readModels } from '../../../worker/models/installed.ts';
import type * as EnginePool from '../../../worker/process/enginePool.ts';
import type { Engine, EngineOptions } from '../../../worker/process/enginePool.ts';
import type { EngineFailure } from '../../../worker/process/engineProcess.ts';
import type { PaintRequest } from '../../../worker/process/protocol.ts';
import { built } from '../../support/build.ts';
import { type ModelsFolder, makeModels } from '../../support/tinyModel.ts';

const { openEngine } = (await import(built('worker/process/enginePool.ts'))) as typeof EnginePool;
let folder: ModelsFolder;
let scratch: string;
let models: InstalledModel[];
let engine: Engine;
const restarts: string[] = [];

beforeAll(async () => {
  folder = await makeModels(['tiny', 'twin']);
  models = (await readModels(folder.root)).all;
  scratch = await mkdtemp(join(tmpdir(), 'dreamgrid-fault-'));
});
afterEach(async () => {
  await engine?.close();
  vi.unstubAllEnvs();
  restarts.length = 0;
});
afterAll(async () => {
  await folder.remove();
  await rm(scratch, { recursive: true, force: true });
});

const open = (options: Partial<EngineOptions> = {}): Engine => {
  engine = openEngine({
    providers: ['cpu'],
    threads: 1,
    deadlineMs: 60_000,
    firstDelayMs: 10,
    onRestart: ({ code }) => restarts.push(code),
    ...options,
  });
  return engine;
};
/** Breaks the engine's process at a step; with a marker only the first time. */
const arm = (action: string, once = true): void => {
  const marker = once ? `:1:${join(scratch, `${Math.random()}`)}` : '';
  vi.stubEnv('DREAMGRID_FAULT', `engine-step:${action}${marker}`);
};
const request = (fields: Partial<PaintRequest> = {}): PaintRequest => ({
  prompt: 'a fox',
  negative: '',
  seeds: [7, 8],
  width: 64,
  height: 64,
  steps: 3,
  guidance: 5,
  scheduler: { name: 'EulerDiscreteScheduler' },
  ...fields,
});
const tiny = (): InstalledModel => models[0] as InstalledModel;
const twin = (): InstalledModel => models[1] as InstalledModel;
/** Longest time between two turns of the event loop; as text, because another process runs it as well. */
const watchLoop = `() => {
  let longest = 0, last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  process.once('SIGTERM', () => { console.log(longest); process.exit(); });
  return () => { clearInterval(timer); process.removeAllListeners('SIGTERM'); return longest; };
}`;
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: EngineFailure) => error.code,
  );

describe('the engine process', () => {
  it('paints what it is asked, step by step, with previews on the way', async () => {
    const steps: number[] = [];
    const sizes = new Set<string>();
    const painted = await open().generate(tiny(), request(), {
      previewEveryMs: 0,
      onStep: ({ step, steps: of, previews }) => {
        steps.push(step / of);
        for (const { width, height } of previews ?? []) sizes.add(`${width}x${height}`);
      },
    });
    expect(painted.pictures.map(({ width, height }) => [width, height])).toEqual([
      [64, 64],
      [64, 64],
    ]);
    expect(painted.latents.map(({ length }) => length)).toEqual([256, 256]);
    expect(painted.ms).toBeGreaterThan(0);
    expect(steps).toEqual([1 / 3, 2 / 3, 1]);
    expect(sizes).toEqual(new Set(['8x8']));
  });

  it('gives the same bytes in another process, and beside other pictures', async () => {
    const first = await open().generate(tiny(), request({ seeds: [7, 8, 9, 10] }));
    await engine.close();
    const alone = await open().generate(tiny(), request({ seeds: [9] }));
    expect(alone.pictures[0]).toEqual(first.pictures[2]);
  });

  it('leaves the parent awake: no more than 100 ms longer asleep than a process that does nothing', async () => {
    open();
    await engine.load(tiny());
    const idle = spawn(process.execPath, ['-e', `(${watchLoop})(); process.stdin.resume();`]);
    const said = once(idle.stdout, 'data');
    const own = new Function(`return (${watchLoop})`)()() as () => number;
    await engine.generate(tiny(), request({ seeds: [1, 2, 3, 4], steps: 20, width: 256, height: 256 }));
    const longest = own();
    idle.kill('SIGTERM');
    expect(longest).toBeLessThan(100 + Number(String((await said)[0])));
  });

  it('says in its own words what it cannot do, without a restart', async () => {
    open();
    expect(await codeOf(engine.generate(tiny(), request({ width: 63 })))).toBe('bad-request');
    expect(await codeOf(engine.upscale(tiny(), { width: 1, height: 1, data: new Uint8Array(3) }, 4))).toBe(
      'unsupported',
    );
    expect(restarts).toEqual([]);
    expect(await codeOf(engine.load({ ...tiny(), name: 'gone', dir: '/nowhere' }))).toBe('missing-file');
  });

  it('knows nothing of tokens and passwords', async () => {
    vi.stubEnv('DISCORD_TOKEN', 'canary');
    open();
    await engine.load(tiny());
    const [pid] = engine.pids();
    const { readFile } = await import('node:fs/promises');
    expect(await readFile(`/proc/${pid}/environ`, 'latin1')).not.toContain('canary');
  });
});

describe('when it fails', () => {
  it('a crash is told at once, and the question asked once more', async () => {
    arm('kill');
    const painted = await open().generate(tiny(), request());
    expect(painted.pictures).toHaveLength(2);
    expect(restarts).toEqual(['crashed']);
  });

  it('the second crash in a row is the caller’s, and the next start waits', async () => {
    arm('kill', false);
    open({ firstDelayMs: 100 });
    expect(await codeOf(engine.generate(tiny(), request()))).toBe('crashed');
    expect(restarts).toEqual(['crashed', 'crashed']);
    vi.unstubAllEnvs();
    const began = performance.now();
    const next = engine.generate(tiny(), request());
    expect((await next).pictures).toHaveLength(2);
    expect(performance.now() - began).toBeGreaterThan(190);
    expect(engine.problems()).toEqual([]);
  });

  it('one that hangs is killed at the deadline', async () => {
    arm('hang', false);
    open({ deadlineMs: 700 });
    expect(await codeOf(engine.generate(tiny(), request()))).toBe('hung');
    expect(restarts).toEqual(['hung', 'hung']);
    expect(engine.pids()).toEqual([]);
  });

  it('lack of memory: once more in a fresh process, picture by picture, to the same bytes', async () => {
    const whole = await open().generate(tiny(), request());
    await engine.close();
    arm('out-of-memory');
    const again = await open().generate(tiny(), request());
    expect(again.pictures).toEqual(whole.pictures);
    expect(restarts).toEqual(['out-of-memory']);
    await engine.close();
    arm('out-of-memory', false);
    expect(await codeOf(open().generate(tiny(), request()))).toBe('out-of-memory');
  });

  it('one that was killed from outside while idle is started again unseen', async () => {
    open();
    await engine.load(tiny());
    const [pid] = engine.pids();
    process.kill(pid as number, 'SIGKILL');
    expect((await engine.generate(tiny(), request())).pictures).toHaveLength(2);
    expect(engine.pids()).not.toContain(pid);
  });
});

describe('stopping', () => {
  it('between two steps, and the process lives on', async () => {
    open();
    await engine.load(tiny());
    const before = engine.pids();
    const abort = new AbortController();
    const work = engine.generate(tiny(), request({ steps: 500 }), {
      signal: abort.signal,
      onStep: () => abort.abort(),
    });
    expect(await codeOf(work)).toBe('aborted');
    expect(engine.pids()).toEqual(before);
    expect((await engine.generate(tiny(), request())).pictures).toHaveLength(2);
    expect(restarts).toEqual([]);
  });

  it('one that does not hear is killed, and the next question meets a new one and keeps its retry', async () => {
    const marker = join(scratch, 'deaf');
    vi.stubEnv('DREAMGRID_FAULT', `engine-step:hang:1:${marker}`);
    open();
    const abort = new AbortController();
    const work = codeOf(engine.generate(tiny(), request(), { signal: abort.signal }));
    await expect.poll(() => existsSync(marker), { timeout: 60_000 }).toBe(true);
    const [deaf] = engine.pids();
    abort.abort();
    const next = engine.generate(tiny(), request());
    expect(await work).toBe('aborted');
    expect((await next).pictures).toHaveLength(2);
    expect(engine.pids()).not.toContain(deaf);
    expect(restarts).toEqual([]);
  });

  it('before it began', async () => {
    open();
    const abort = new AbortController();
    abort.abort();
    expect(await codeOf(engine.generate(tiny(), request(), { signal: abort.signal }))).toBe('aborted');
  });
});

describe('several models', () => {
  it('share one place: the one used last stays', async () => {
    open();
    await engine.generate(tiny(), request());
    const [first] = engine.pids();
    await engine.generate(twin(), request());
    expect(engine.pids()).toHaveLength(1);
    expect(engine.pids()).not.toContain(first);
  });

  it('stay where there is room, the least recently used goes', async () => {
    open({ maxLoaded: 2 });
    await engine.load(tiny());
    await engine.load(twin());
    const [a, b] = engine.pids();
    await engine.load(tiny());
    expect(new Set(engine.pids())).toEqual(new Set([a, b]));
    await engine.load({ ...twin(), name: 'third' });
    expect(engine.pids()).toContain(a);
    expect(engine.pids()).not.toContain(b);
  });

  it('one that crashes takes no other along', async () => {
    open({ maxLoaded: 2 });
    await engine.load(tiny());
    const [kept] = engine.pids();
    arm('kill');
    await engine.generate(twin(), request());
    expect(restarts).toEqual(['crashed']);
    expect(engine.pids()).toContain(kept);
    expect(engine.loaded()).toEqual(['tiny', 'twin']);
  });

  it('are told of where they paint on another provider than the first one asked for', async () => {
    const words: string[] = [];
    open({ providers: ['nowhere', 'cpu'], onProviderMissing: (text) => words.push(text) });
    await engine.generate(tiny(), request());
    await engine.generate(tiny(), request());
    expect(words).toEqual([
      expect.stringMatching(/^tiny paints on cpu instead of what PROVIDERS asks for first \(nowhere: .+\)$/),
    ]);
  });
});

describe('several questions at a time', () => {
  const others = (): PaintRequest[] => [
    request({ seeds: [21], steps: 6 }),
    request({ seeds: [22, 23], prompt: 'a lighthouse', guidance: 1 }),
  ];
  const all = (): PaintRequest[] => [request({ seeds: [1, 2, 3, 4] }), ...others()];
  /** What each of them paints alone. */
  const whole: unknown[] = [];
  beforeAll(async () => {
    open();
    for (const one of all()) whole.push((await engine.generate(tiny(), one)).pictures);
    await engine.close();
  });
  const together = (requests: readonly PaintRequest[]): Promise<unknown[]> =>
    Promise.all(requests.map(async (one) => (await engine.generate(tiny(), one)).pictures));

  it('a short one does not wait for a long one to end', async () => {
    open();
    const order: string[] = [];
    await Promise.all([
      engine.generate(tiny(), request({ steps: 60 })).then(() => order.push('long')),
      engine.generate(tiny(), request({ steps: 1 })).then(() => order.push('short')),
    ]);
    expect(order).toEqual(['short', 'long']);
    expect(engine.pids()).toHaveLength(1);
  });

  it('paint what each paints alone, in calls of their own and in calls that they share', async () => {
    open();
    expect(await together(all())).toEqual(whole);
    await engine.close();
    open({ batch: { together: true } });
    expect(await together(all())).toEqual(whole);
  });

  it('a crash fails all of them once: each is asked again, alone, and paints the same', async () => {
    arm('kill');
    open({ batch: { together: true } });
    expect(await together(all())).toEqual(whole);
    expect(restarts).toEqual(['crashed']);
  });

  it('whoever brings a process down twice takes nobody along', async () => {
    vi.stubEnv('DREAMGRID_FAULT', 'engine-large:kill');
    open({ batch: { together: true } });
    const small = request({ seeds: [31], steps: 4 });
    const [large, ...rest] = await Promise.all([
      codeOf(engine.generate(tiny(), request({ seeds: [1, 2, 3, 4, 5], steps: 4 }))),
      codeOf(engine.generate(tiny(), small)),
      codeOf(engine.generate(tiny(), small)),
    ]);
    expect([large, ...rest]).toEqual(['crashed', 'done', 'done']);
    expect(restarts).toEqual(['crashed', 'crashed']);
  });

  it('a cancel stops one, and the others go on in the same process', async () => {
    open({ batch: { together: true } });
    await engine.load(tiny());
    const before = engine.pids();
    const abort = new AbortController();
    const stopped = codeOf(
      engine.generate(tiny(), request({ steps: 500 }), { signal: abort.signal, onStep: () => abort.abort() }),
    );
    const painted = await together(others());
    expect(await stopped).toBe('aborted');
    expect(painted).toEqual(whole.slice(1));
    expect(engine.pids()).toEqual(before);
    expect(restarts).toEqual([]);
  });

  it('a deadline ends the job that is late, and not the others', async () => {
    open({ deadlineMs: 3_000, batch: { together: true } });
    await engine.load(tiny());
    const before = engine.pids();
    const steps: number[] = [];
    const late = codeOf(
      engine.generate(tiny(), request({ seeds: [1], steps: 900, width: 256, height: 256 }), {
        onStep: ({ step }) => void steps.push(step),
      }),
    );
    // Another one is in the process whenever the late one's time is up.
    let over = false;
    const stream = (async () => {
      for (let seed = 0; !over; seed++) await engine.generate(tiny(), request({ seeds: [seed], steps: 2 }));
    })();
    expect(await late).toBe('hung');
    over = true;
    await stream;
    expect(steps.filter((step) => step === 1)).toHaveLength(2); // asked twice, the second time alone
    expect(restarts.filter((code) => code !== 'hung')).toEqual([]);
    expect(restarts.length).toBeLessThan(2);
    expect(before).toHaveLength(1);
  });

  it('lack of memory halves the calls: no new process, the same bytes, and it is remembered', async () => {
    vi.stubEnv('DREAMGRID_FAULT', `engine-call:out-of-memory:1:${join(scratch, 'halve')}`);
    const halved: number[] = [];
    open({ batch: { together: true }, onHalved: (rows) => void halved.push(rows) });
    expect(await together(all())).toEqual(whole);
    expect(restarts).toEqual([]);
    expect(halved).toEqual([expect.any(Number)]);
  });

  it('cannot start a model while another one is asked that it would have to replace, and then comes first', async () => {
    open();
    const order: string[] = [];
    const ask = async (model: InstalledModel, name: string, steps: number): Promise<void> => {
      await engine.generate(model, request({ seeds: [1], steps }));
      order.push(name);
    };
    await Promise.all([ask(tiny(), 'first', 20), ask(twin(), 'other', 20), ask(tiny(), 'later', 1)]);
    expect(order).toEqual(['first', 'other', 'later']);
    expect(restarts).toEqual([]);
  });
});
