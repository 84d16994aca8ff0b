import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError, type GenerateRequest, loadModel, type Model } from '../../../worker/engine/index.ts';
import {
  type Call,
  openStepLoop,
  type StepLoop,
  type StepLoopOptions,
} from '../../../worker/engine/stepLoop.ts';
import { modelDir, readCases, requestOf } from '../../support/reference.ts';

/** Pictures that are painted beside others must be those of the job alone, bit for bit on the processor. */
const families: Record<string, string> = {
  sd15: 'sd15',
  sd21v: 'sd21v',
  'sd-turbo': 'sd-turbo',
  sdxl: 'sdxl',
  lcm: 'lcm',
  inpaint: 'inpaint',
  'sd15-fp16': 'sd15',
  'sd15-legacy-types': 'sd15',
};

/** Starts the others while the first one paints, each at a step of it. */
async function paintTogether(model: Model, requests: readonly GenerateRequest[]): Promise<Float32Array[][]> {
  const [first, ...others] = requests as [GenerateRequest, ...GenerateRequest[]];
  const work: Promise<Float32Array[]>[] = [];
  const paint = async (
    request: GenerateRequest,
    onStep?: (step: number) => void,
  ): Promise<Float32Array[]> => {
    const { pictures } = await model.generate(request, onStep ? { onStep: ({ step }) => onStep(step) } : {});
    return pictures.map(({ data }) => data);
  };
  const lead = paint(first, (step) => {
    const next = others[step - 1];
    if (next) work.push(paint(next));
  });
  return [await lead, ...(await Promise.all(work))];
}

for (const [family, cases] of Object.entries(families)) {
  it(`${family}: three jobs together paint what each paints alone, bit for bit`, async () => {
    const calls: number[] = [];
    const batch = { together: true, onCall: (rows: number) => void calls.push(rows) };
    const model = await loadModel(modelDir(family), { threads: 1, batch });
    const base: GenerateRequest = { ...(await requestOf(cases, readCases(cases)[0]!, 1)), steps: 5 };
    const long = Array.from({ length: 80 }, (_, i) => `word${i}`).join(' ');
    const scheduler =
      family === 'lcm' ? {} : { scheduler: { ...base.scheduler, name: 'EulerAncestralDiscreteScheduler' } };
    const requests: GenerateRequest[] = [
      { ...base, seeds: [5, 6], guidance: [4, 1] },
      { ...base, prompt: 'a cloud castle at night', seeds: [7], guidance: 7, steps: 3, ...scheduler },
      { ...base, prompt: long, seeds: [8, 9], guidance: 2, steps: 4 },
    ];
    const alone: Float32Array[][] = [];
    for (const request of requests) {
      const { pictures } = await model.generate(request);
      alone.push(pictures.map(({ data }) => data));
    }
    const most = Math.max(...calls);
    const apart = calls.splice(0).length;
    expect(await paintTogether(model, requests)).toEqual(alone);
    expect(Math.max(...calls)).toBeGreaterThan(most);
    expect(calls.length).toBeLessThan(apart);
    await model.release();
  });
}

describe('the model that ships', () => {
  const load = (batch: NonNullable<Parameters<typeof loadModel>[1]>['batch'], threads = 1): Promise<Model> =>
    loadModel(path.join(import.meta.dirname, '../../../models/pocket'), {
      threads,
      ...(batch ? { batch } : {}),
    });
  const request: GenerateRequest = {
    prompt: 'a fox in the snow',
    seeds: [1, 2],
    width: 64,
    height: 64,
    steps: 3,
    guidance: 3,
  };
  const requests = [
    request,
    { ...request, prompt: 'a lighthouse', seeds: [3], guidance: 1 },
    { ...request, seeds: [4] },
  ];

  it('paints the same together and alone, with two threads too', async () => {
    for (const threads of [1, 2]) {
      const model = await load({ together: true }, threads);
      const alone = [];
      for (const one of requests) alone.push((await model.generate(one)).pictures.map(({ data }) => data));
      expect(await paintTogether(model, requests)).toEqual(alone);
      await model.release();
    }
  });

  it('halves the call after lack of memory and repeats the step, to the same bytes', async () => {
    const halved: number[] = [];
    const calls: number[] = [];
    const model = await load({
      together: true,
      onCall: (rows) => {
        calls.push(rows);
        if (rows > 2 && halved.length < 2)
          throw new EngineError('out-of-memory', 'a fault of the test: no memory for so many');
      },
      onHalved: (rows) => void halved.push(rows),
    });
    const whole = await load({ together: false });
    const small = { ...request, steps: 2, seeds: [1, 2, 3, 4] };
    const { pictures } = await model.generate(small);
    expect(pictures).toEqual((await whole.generate(small)).pictures);
    expect(halved).toHaveLength(2);
    // A size below the native one weighs less, so the same memory takes more rows of it.
    const weight = (8 / (model.info.nativeSize / model.info.latentFactor)) ** 2;
    expect(halved.map((rows) => rows / (weight * (64 / model.info.latentFactor / 8) ** 2))).toEqual([4, 2]);
    await Promise.all([model.release(), whole.release()]);
  });
});

describe('joining, leaving, stopping', () => {
  let model: Model;
  const calls: number[] = [];
  beforeAll(async () => {
    model = await loadModel(modelDir('sd15'), {
      threads: 1,
      batch: { together: true, onCall: (rows) => void calls.push(rows) },
    });
  });
  afterAll(() => model.release());
  const request: GenerateRequest = {
    prompt: 'a cloud castle at night',
    seeds: [1],
    width: 64,
    height: 64,
    steps: 6,
    guidance: 5,
  };

  it('a cancel frees its rows at the next call, and the others go on', async () => {
    const alone = await model.generate({ ...request, seeds: [2] });
    calls.length = 0;
    const abort = new AbortController();
    const stopped = model.generate({ ...request, steps: 50 }, { signal: abort.signal });
    const other = model.generate(
      { ...request, seeds: [2] },
      {
        onStep: ({ step }) => {
          if (step === 3) abort.abort();
        },
      },
    );
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect((await other).pictures).toEqual(alone.pictures);
    expect(calls.filter((rows) => rows === 4)).toHaveLength(3);
    expect(calls.slice(-3)).toEqual([2, 2, 2]);
  });

  it('a job that fails on its way leaves, and the others go on', async () => {
    const broken = model.generate(
      { ...request, steps: 50 },
      {
        onStep: ({ step }) => {
          if (step === 2) throw new Error('nobody listens any more');
        },
      },
    );
    const other = model.generate({ ...request, seeds: [2] });
    await expect(broken).rejects.toThrow('nobody listens');
    expect((await other).pictures[0]!.data.every(Number.isFinite)).toBe(true);
  });

  it('other sizes have calls of their own', async () => {
    const wide = { ...request, width: 96 };
    const [a, b] = [await model.generate(request), await model.generate(wide)];
    calls.length = 0;
    const [c, d] = await Promise.all([model.generate(request), model.generate(wide)]);
    expect([c.pictures, d.pictures]).toEqual([a.pictures, b.pictures]);
    expect(calls).toEqual(Array(14).fill(2)); // PNDM: six steps are seven calls
  });
});

describe('how many rows a call takes', () => {
  /** A device of which the rows of the largest call so far take 10 MB each. */
  const device = (megabytes: number, calls: number[]) => async (): Promise<number> =>
    (megabytes - 10 * Math.max(0, ...calls)) * 1e6;

  it('is measured by what the device has free: larger and larger calls while the next one fits', async () => {
    const calls: number[] = [];
    const model = await loadModel(modelDir('sdxl'), { threads: 1 });
    const free = device(200, calls);
    let rows = 0;
    const next = async (): Promise<number> => {
      if (rows > 0) calls.push(rows);
      rows = rows === 0 ? 2 : rows * 2;
      return free();
    };
    const measured = await model.measureRows?.(next, () => 0);
    // 2, 4, 8 and 16 rows were made; 40 MB are left, and four fifths of them are three rows more.
    expect(calls).toEqual([2, 4, 8, 16]);
    expect(measured).toBe(18);
    // Ten ms a call and ten a row: a row takes 15, 12.5, 11.25, 10.63 … ms, and then saves less than a twentieth.
    let at = 0;
    let reads = 0;
    const clock = (): number => {
      reads++;
      if (reads % 2 === 0) at += 10 + 10 * 2 ** (reads / 2);
      return at;
    };
    expect(await model.measureRows?.(async () => 1e12, clock)).toBe(16);
    expect(await model.measureRows?.(async () => undefined)).toBeUndefined();
    await model.release();
  });
});

describe('the loop', () => {
  const network = {};
  /** A generation of `steps` calls of `rows` rows each, which tells when it is done. */
  const walk = (
    loop: StepLoop,
    name: string,
    rows: number,
    steps: number,
    {
      order,
      change,
      signal,
    }: { order: string[]; change?: Partial<Call<string, string>>; signal?: AbortSignal },
  ): Promise<void> =>
    loop.seated(signal, async (seat) => {
      for (let step = 1; step <= steps; step++) {
        const said = await seat.ask<string, string>({
          network,
          shape: '8x8',
          rows: Array.from({ length: rows }, (_, i) => `${name}${i}`),
          weight: 1,
          left: rows * (steps - step),
          run: async (all) => all.map((row) => `said ${row}`),
          ...change,
        });
        expect(said).toEqual(Array.from({ length: rows }, (_, i) => `said ${name}${i}`));
      }
      order.push(name);
    });
  const open = (
    options: Partial<StepLoopOptions> = {},
  ): { loop: StepLoop; calls: number[]; order: string[] } => {
    const calls: number[] = [];
    const onCall = (rows: number): void => void calls.push(rows);
    return { loop: openStepLoop({ together: true, onCall, ...options }), calls, order: [] };
  };

  it('serves rows of several generations in one call, as many as fit', async () => {
    const { loop, calls, order } = open({ mostRows: 8 });
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => walk(loop, name, 2, 3, { order })));
    expect(Math.max(...calls)).toBe(8);
    expect(calls.reduce((sum, rows) => sum + rows, 0)).toBe(30);
    expect(calls.length).toBeLessThan(7);
  });

  it('apart: the least work left goes first, equal ones as they came', async () => {
    const { loop, calls, order } = open({ together: false });
    await Promise.all([
      walk(loop, 'long', 8, 20, { order }),
      walk(loop, 'short', 2, 5, { order }),
      walk(loop, 'equal', 2, 5, { order }),
    ]);
    expect(order).toEqual(['short', 'equal', 'long']);
    expect(Math.max(...calls)).toBe(8);
  });

  it('nobody waits for ever: whoever was passed over for three times as long as it takes itself goes first', async () => {
    const { loop, order } = open({ together: false });
    const long = walk(loop, 'long', 8, 10, { order }); // 80 rows of work
    // Two streams, so that a short one waits whenever another one ends.
    const stream = async (name: string): Promise<void> => {
      for (let i = 0; i < 40; i++) await walk(loop, `${name}${i}`, 2, 4, { order });
    };
    await Promise.all([long, stream('s'), stream('t')]);
    const before = order.indexOf('long');
    expect(before).toBeGreaterThanOrEqual(26); // 30 of 8 rows each are three times as much as itself
    expect(before).toBeLessThanOrEqual(34);
  });

  it('a call that fails takes nobody along but its own generation', async () => {
    const { loop, order } = open();
    const run = async (all: readonly string[]): Promise<string[]> => {
      if (all.some((row) => row.startsWith('bad'))) throw new Error('the network refused');
      return all.map((row) => `said ${row}`);
    };
    const good = walk(loop, 'good', 2, 5, { order, change: { run } });
    const bad = walk(loop, 'bad', 2, 5, { order, change: { run } });
    await expect(bad).rejects.toThrow('the network refused');
    await good;
    expect(order).toEqual(['good']);
  });

  it('one picture that does not fit is its own failure, and no other’s', async () => {
    const { loop, order } = open();
    const run = async (all: readonly string[]): Promise<string[]> => {
      if (all.some((row) => row.startsWith('large'))) throw new EngineError('out-of-memory', 'too large');
      return all.map((row) => `said ${row}`);
    };
    const small = walk(loop, 'small', 2, 5, { order, change: { run } });
    const large = walk(loop, 'large', 2, 5, { order, change: { run, shape: '64x64', weight: 64 } });
    await expect(large).rejects.toMatchObject({ code: 'out-of-memory' });
    await small;
    expect(order).toEqual(['small']);
  });
});
