/** Folders as people bring them to `dreamgrid models add`: other schedulers, other layouts, other editors. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { modelCommands } from '../../../../worker/cli/modelStore.ts';
import { loadModel } from '../../../../worker/engine/index.ts';
import { readModels } from '../../../../worker/models/installed.ts';
import { readFolder } from './fakeHub.ts';

const pipelines = resolve(import.meta.dirname, '../../../data/reference/pipelines');

let models: string;
let source: string;
let printed = '';

beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-add-'));
  source = await mkdtemp(join(tmpdir(), 'dreamgrid-given-'));
  await lay('sd-turbo', source);
  printed = '';
  vi.stubEnv('MODELS_DIR', models);
  for (const stream of [process.stdout, process.stderr])
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      printed += text;
      return true;
    });
});

afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const folder of [models, source]) await rm(folder, { recursive: true, force: true });
});

async function lay(kind: string, to: string): Promise<void> {
  for (const [path, bytes] of readFolder(join(pipelines, kind, 'model'))) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await writeFile(join(to, path), bytes);
  }
}

const SCHEDULER = 'scheduler/scheduler_config.json';
const change = async (file: string, edit: (config: Record<string, unknown>) => void): Promise<void> => {
  const config = JSON.parse(await readFile(join(source, file), 'utf8')) as Record<string, unknown>;
  edit(config);
  await writeFile(join(source, file), JSON.stringify(config));
};
const setScheduler = (name: string, options: Record<string, unknown> = {}) =>
  change(SCHEDULER, (config) => Object.assign(config, { _class_name: name, ...options }));

const add = async (...more: string[]): Promise<{ code: number; text: string }> => {
  printed = '';
  const code = await modelCommands['add']!([source, '--as', 'mine', ...more]).catch((error: unknown) => {
    printed += (error as Error).message;
    return 1;
  });
  return { code, text: printed };
};
const manifest = async () =>
  JSON.parse(await readFile(join(models, 'mine', 'manifest.json'), 'utf8')) as {
    defaults: { scheduler: string };
    parameters?: Record<string, unknown>;
  };

/** As a worker would, with what the manifest says. */
async function paint(): Promise<number> {
  const model = await loadModel(join(models, 'mine'), { threads: 1 });
  try {
    const { scheduler } = (await manifest()).defaults;
    const request = { prompt: 'a fox', seeds: [1], width: 64, height: 64, steps: 4, guidance: 1 };
    const { pictures } = await model.generate({ ...request, scheduler: { name: scheduler } });
    return pictures.length;
  } finally {
    await model.release();
  }
}

describe('schedulers', () => {
  it.each(['DPMSolverSDEScheduler', 'SASolverScheduler', 'DDIMParallelScheduler'])(
    'a model that ships %s paints with it',
    async (name) => {
      await setScheduler(name);
      expect((await add()).code).toBe(0);
      expect((await manifest()).defaults.scheduler).toBe(name);
      expect(await paint()).toBe(1);
    },
  );

  it('an EDM model paints, and takes no other scheduler', async () => {
    await writeFile(
      join(source, SCHEDULER),
      JSON.stringify({ _class_name: 'EDMDPMSolverMultistepScheduler', prediction_type: 'epsilon' }),
    );
    expect((await add()).code).toBe(0);
    expect((await manifest()).parameters).toEqual({ scheduler: { supported: false } });
    expect(await paint()).toBe(1);
  });

  it('an EDM model whose network cuts timesteps to whole numbers is refused by its file', async () => {
    await rm(source, { recursive: true });
    await lay('sd15-legacy-types', source);
    await setScheduler('EDMEulerScheduler');
    const { code, text } = await add();
    expect(code).toBe(1);
    expect(text).toContain(`${join(source, 'unet/model.onnx')} takes whole timesteps`);
  });

  it('one that is not written gets another default, and is named', async () => {
    await setScheduler('KarrasWhateverScheduler');
    const { code, text } = await add();
    expect(code).toBe(0);
    expect(text).toContain('Its scheduler KarrasWhateverScheduler is not implemented');
    expect((await manifest()).defaults.scheduler).toBe('EulerDiscreteScheduler');
    expect(await paint()).toBe(1);
  });

  it('one that is not written and is not discrete is refused', async () => {
    await writeFile(join(source, SCHEDULER), '{"_class_name": "CosineDPMSolverMultistepScheduler"}');
    const { code, text } = await add();
    expect(code).toBe(1);
    expect(text).toContain('CosineDPMSolverMultistepScheduler is not implemented');
    expect(await readdir(models)).toEqual([]);
  });

  it('an option that is not implemented is refused before anybody paints', async () => {
    await setScheduler('DPMSolverMultistepScheduler', {
      algorithm_type: 'dpmsolver',
      final_sigmas_type: 'zero',
    });
    const { code, text } = await add();
    expect(code).toBe(1);
    expect(text).toContain(`${join(source, SCHEDULER)}: DPMSolverMultistepScheduler: final_sigmas_type`);
  });

  it('an option that nobody knows is named and ignored', async () => {
    await change(SCHEDULER, (config) => Object.assign(config, { sparkle_factor: 0.3 }));
    const { code, text } = await add();
    expect(code).toBe(0);
    expect(text).toContain('the option sparkle_factor is not known and is ignored');
    expect(await paint()).toBe(1);
  });

  it('a model that was installed before with such an option is told at the start, not at each picture', async () => {
    await add('--no-load');
    const file = join(models, 'mine', SCHEDULER);
    await rm(join(models, 'mine', 'manifest.json'));
    await writeFile(
      file,
      '{"_class_name": "DDIMScheduler", "prediction_type": "epsilon", "beta_schedule": "zigzag"}',
    );
    const { problems } = await readModels(models);
    expect(problems).toEqual([expect.stringContaining(`${file}: beta_schedule "zigzag" is not implemented`)]);
  });
});

describe('layouts', () => {
  it('a pipeline in a folder of its own gets the line that adds it', async () => {
    const outer = await mkdtemp(join(tmpdir(), 'dreamgrid-outer-'));
    await rename(source, join(outer, 'onnx'));
    source = outer;
    const { code, text } = await add();
    expect(code).toBe(1);
    expect(text).toContain(`dreamgrid models add ${join(outer, 'onnx')}`);
    expect(text).not.toContain('optimum-cli');
  });

  it('half-float files under their own name get the line that renames them, which works', async () => {
    const parts = ['unet', 'text_encoder', 'vae_decoder', 'vae_encoder'];
    for (const part of parts)
      await rename(join(source, part, 'model.onnx'), join(source, part, 'model_fp16.onnx'));
    const { code, text } = await add();
    expect(code).toBe(1);
    expect(text).toContain('text_encoder/model_fp16.onnx');
    expect(text).not.toContain('optimum-cli');
    const line = text.split('\n').find((each) => each.includes('for f in'))!;
    const { execFileSync } = await import('node:child_process');
    execFileSync('sh', ['-c', line], { cwd: source });
    expect((await add()).code).toBe(0);
  });

  it('JSON with a byte-order mark is read', async () => {
    for (const file of ['model_index.json', SCHEDULER, 'unet/config.json', 'tokenizer/vocab.json']) {
      const text = await readFile(join(source, file), 'utf8');
      await writeFile(join(source, file), `\uFEFF${text}`);
    }
    expect((await add()).code).toBe(0);
    expect((await readModels(models)).problems).toEqual([]);
    expect(await paint()).toBe(1);
  });

  it('errors name the folder that was given', async () => {
    await writeFile(join(source, 'unet/config.json'), '{');
    expect((await add()).text).toContain(`${join(source, 'unet/config.json')} is not JSON`);
    await writeFile(join(source, 'vae_decoder/model.onnx'), Buffer.from([0x3a, 0x02, 0x12, 0x00]));
    await writeFile(join(source, 'unet/config.json'), '{}');
    const { text } = await add();
    expect(text).toContain(join(source, 'vae_decoder/model.onnx'));
    expect(text).not.toContain('.add-mine');
  });
});
