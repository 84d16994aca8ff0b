import { existsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { readEnv } from '../../shared/service/env.ts';
import { weightIndexFile } from '../engine/index.ts';
import { addModel } from '../models/hub/add.ts';
import { StoreError } from '../models/hub/errors.ts';
import { formatBytes } from '../models/hub/formatUnits.ts';
import { hubFrom } from '../models/hub/http.ts';
import { checkModelName, modelNameFrom } from '../models/hub/hubReference.ts';
import { forgetOptimised, optimiseModel } from '../models/hub/optimise.ts';
import { openBar } from '../models/hub/progressBar.ts';
import { type PullPlan, planPull, pull as pullModel } from '../models/hub/pull.ts';
import { sweepStaging } from '../models/hub/stagingFolder.ts';
import type { Variant } from '../models/hub/variant.ts';
import {
  findModel,
  howToFetchAgain,
  listModels,
  removeModel,
  type StoredModel,
  verifyModel,
} from '../models/hub/verifyModel.ts';
import { importModel, isImportable } from '../models/import/importModel.ts';
import { isUnclipSource } from '../models/import/unclip.ts';
import type { Manifest } from '../models/manifest.ts';
import { flagOf, importSettings } from './importSettings.ts';
import { agree, command, one, stoppable } from './modelCommand.ts';
import { pathFromUser } from './usage.ts';

/** `dreamgrid models …`: messages for the owner; the work is done in worker/models/hub. */
export const modelUsage = `dreamgrid models [list]                          what is installed
dreamgrid models pull OWNER/NAME[@REVISION]      fetch a model from the hub (HF_ENDPOINT, HF_TOKEN): diffusers'
                 OWNER/NAME/FILE.safetensors     .safetensors or ONNX; or one file, of the hub or by its address
                 https://…                       (CIVITAI_TOKEN)
                 [--as NAME] [--yes] [--variant fp16|full]
dreamgrid models add FILE|DIR [--as NAME]        take in a .safetensors, a diffusers folder, or a folder of ONNX
                 [--vae FILE]                    files; with another autoencoder than the model's own
                 [--tiny-vae FILE]               TAESD beside it, for drafts and previews
                 [--upscaler FILE]               an ESRGAN or Real-ESRGAN one (all three .safetensors)
                 [--steps N] [--guidance X] [--scheduler NAME] [--prediction epsilon|v_prediction]
                 [--variant fp16|full]           a folder's weights, where they are there in two sizes
                 [--link] [--no-load]            ONNX: hard links instead of copies; without trying to load it
                 [--prior DIR]                   Kandinsky 2.2: the folder of its prior
dreamgrid models verify [NAME …]                 compare every byte with the manifest
dreamgrid models optimise NAME [--undo]          once, for the processor: loads in a fraction of the time, and
                                                 workers on one machine share the weights
dreamgrid models remove NAME [--yes]             delete a model, or what an interrupted pull left
                 [--json]                        with each of them: answer in JSON`;

const settingOptions = {
  vae: { type: 'string' },
  'tiny-vae': { type: 'string' },
  upscaler: { type: 'string' },
  prediction: { type: 'string' },
  steps: { type: 'string' },
  guidance: { type: 'string' },
  scheduler: { type: 'string' },
} as const;
const pullOptions = {
  as: { type: 'string' },
  yes: { type: 'boolean' },
  variant: { type: 'string' },
  ...settingOptions,
} as const;

export const pull = command(modelUsage, pullOptions, async (call) => {
  const { models, flags } = call;
  const wanted = one(call.words, 'OWNER/NAME');
  const settings = importSettings(flags);
  const variant = variantOf(flags['variant'] as string | undefined);
  const as = flags['as'] as string | undefined;
  const { PROVIDERS, THREADS } = readEnv();
  // Only on the processor does memory decide the weights' size: a GPU computes in half floats as well.
  const memory = PROVIDERS[0] === 'cpu' ? totalmem() : 0;
  const plan = await stoppable((signal) =>
    planPull(hubFrom(process.env, signal), models, wanted, {
      memory,
      ...(as === undefined ? {} : { as }),
      ...(variant ? { variant } : {}),
    }),
  );
  if (plan.kind === 'onnx' && Object.keys(settings).length > 0)
    throw new StoreError('usage', `${plan.from} is ONNX: ${flagOf(settings)} is for .safetensors.`);
  call.note(describePlan(plan));
  if (!(await agree(call, `Fetch ${formatBytes(plan.bytes - plan.present)} into ${plan.dir}?`))) return 1;
  const bar = openBar(process.stderr);
  const started = performance.now();
  const load = { providers: PROVIDERS, ...(THREADS > 0 ? { threads: THREADS } : {}) };
  const manifest = await stoppable((signal) =>
    pullModel(
      hubFrom(process.env, signal),
      models,
      plan,
      ({ file, done, total }) => bar.show(file, done, total),
      { ...settings, load, signal, say: call.note },
    ),
  ).finally(bar.end);
  call.say(
    {
      name: plan.name,
      dir: plan.dir,
      repository: plan.from,
      commit: plan.commit,
      bytes: plan.bytes,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      family: manifest.family,
    },
    installed(manifest, plan.dir),
  );
  return 0;
});

function variantOf(text: string | undefined): Variant | undefined {
  if (text === undefined || text === 'full' || text === 'fp16') return text;
  throw new StoreError('usage', `--variant ${text} is neither full nor fp16.`);
}

const installed = ({ name, family, native, defaults }: Manifest, dir: string): string =>
  `${name} is installed (${family}, ${native.width}×${native.height}, ${defaults.steps} steps, guidance ${defaults.guidance}).\n` +
  `Sizes and defaults: ${dir}/manifest.json. Restart the workers, then: /imagine prompt: … --model ${name}`;

function describePlan(plan: PullPlan): string {
  const large = [...plan.files].sort((a, b) => b.bytes - a.bytes).slice(0, 6);
  return [
    `${plan.from}${plan.commit ? ` at ${plan.commit.slice(0, 12)}` : ''} · license: ${plan.license} · ${plan.files.length} files, ${formatBytes(plan.bytes)}`,
    ...large.map((file) => `  ${formatBytes(file.bytes).padStart(9)}  ${file.path}`),
    ...(plan.files.length > large.length ? [`  and ${plan.files.length - large.length} smaller ones`] : []),
    ...(plan.variant
      ? [
          `  Weights in two sizes: full ${formatBytes(plan.variant.bytes.full)}, fp16 ${formatBytes(plan.variant.bytes.fp16)}; ${plan.variant.taken} is taken (--variant ${plan.variant.taken === 'full' ? 'fp16' : 'full'} for the other).`,
        ]
      : []),
    ...(plan.present > 0
      ? [`  ${formatBytes(plan.present)} of it are here already from an interrupted pull`]
      : []),
  ].join('\n');
}

const addOptions = {
  as: { type: 'string' },
  yes: { type: 'boolean' },
  link: { type: 'boolean' },
  'no-load': { type: 'boolean' },
  variant: { type: 'string' },
  ...settingOptions,
  prior: { type: 'string' },
} as const;

export const add = command(modelUsage, addOptions, async ({ models, words, flags, say, note }) => {
  const from = pathFromUser(one(words, 'file or folder'));
  const as = flags['as'] as string | undefined;
  const name = as === undefined ? modelNameFrom(basename(from, '.safetensors')) : checkModelName(as);
  const { PROVIDERS, THREADS } = readEnv();
  const load = { providers: PROVIDERS, ...(THREADS > 0 ? { threads: THREADS } : {}) };
  const bar = openBar(process.stderr);
  const onBytes = (file: string, done: number, total: number): void => bar.show(file, done, total);
  const notes: string[] = [];
  const common = { ...(flags['no-load'] ? {} : { load }), onBytes };
  const variant = variantOf(flags['variant'] as string | undefined);
  const settings = { ...importSettings(flags), ...(variant ? { variant } : {}) };
  const importable = (await isImportable(from)) && !(await isUnclipSource(from));
  if (!importable && Object.keys(settings).length > 0)
    throw new StoreError('usage', `${from} is no .safetensors: ${flagOf(settings)} is for those.`);
  const manifest = await stoppable((signal) =>
    importable
      ? importModel(models, from, name, { ...common, ...settings, signal, say: note })
      : addModel(models, from, name, {
          ...common,
          link: flags['link'] === true,
          ...(flags['prior'] === undefined ? {} : { prior: pathFromUser(flags['prior'] as string) }),
          onNote: (text) => notes.push(text),
        }),
  ).finally(bar.end);
  notes.forEach(note);
  const dir = join(models, name);
  say(
    { name, dir, family: manifest.family, files: Object.keys(manifest.files).length },
    installed(manifest, dir),
  );
  return 0;
});

/** Exit code 1 where something is broken or nothing can be painted with. */
export const list = command(modelUsage, {}, async ({ models, words, say, note }) => {
  if (words.length > 0) throw new StoreError('usage', `There is no command "models ${words[0]}".`);
  // A killed `add` leaves a hidden folder that takes disk; where the models folder is read-only it stays.
  await sweepStaging(models).catch(() => undefined);
  const all = await listModels(models);
  const { DEFAULT_MODEL } = readEnv();
  const sound = all.filter((model) => model.manifest && !model.problem && !model.unfinished);
  const broken = all.filter((model) => model.problem !== undefined);
  const unfinished = all.filter((model) => model.unfinished !== undefined);
  say(
    {
      root: models,
      models: sound.map((model) => describe(model, model.name === DEFAULT_MODEL)),
      problems: broken.map(({ name, problem }) => `${name}: ${problem}`),
      unfinished: unfinished.map(({ name, bytes, unfinished: from }) => ({ name, bytes, ...from })),
    },
    sound.length === 0
      ? `There is no model in ${models}.`
      : table([
          ['name', 'family', 'native', 'size', 'defaults'],
          ...sound.map((model) => row(model, model.name === DEFAULT_MODEL)),
        ]),
  );
  for (const { name, problem } of broken) note(`${name} is broken: ${problem}`);
  for (const { name, unfinished: from } of unfinished) {
    note(`${name} is half fetched; go on with: dreamgrid models pull ${from!.from} --as ${from!.as}`);
  }
  return sound.length > 0 && broken.length === 0 ? 0 : 1;
});

const describe = ({ name, dir, bytes, hash, manifest }: StoredModel, isDefault: boolean) => {
  const { files: _files, latentRgb: _map, ...rest } = manifest!;
  return { ...rest, name, dir, hash, bytes, default: isDefault };
};

const row = ({ name, bytes, manifest }: StoredModel, isDefault: boolean): string[] => {
  const { family, native, defaults } = manifest!;
  return [
    isDefault ? `${name} (default)` : name,
    family,
    `${native.width}x${native.height}`,
    formatBytes(bytes),
    `${defaults.steps} steps, guidance ${defaults.guidance}, ${defaults.scheduler}`,
  ];
};

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export const verify = command(modelUsage, {}, async ({ models, words, say, note }) => {
  const chosen =
    words.length > 0
      ? await Promise.all(words.map((name) => findModel(models, name)))
      : await listModels(models);
  const whole = chosen.filter((model) => !model.unfinished);
  const bar = openBar(process.stderr);
  const total = whole.reduce((bytes, model) => bytes + model.bytes, 0);
  let read = 0;
  const verdicts = [];
  for (const model of whole) {
    verdicts.push(
      await verifyModel(model, (n) => {
        read += n;
        bar.show(model.name, read, total);
      }),
    );
  }
  bar.end();
  say(
    verdicts,
    verdicts
      .flatMap(({ name, checked, problems }) =>
        problems.length === 0
          ? [
              checked > 0
                ? `${name}: ${checked} files are as they should be`
                : `${name}: complete, but no manifest to compare with`,
            ]
          : [
              ...problems.map((problem) => `${name}: ${problem}`),
              ...again(whole.find((model) => model.name === name)),
            ],
      )
      .join('\n') || `There are no models in ${models}.`,
  );
  if (chosen.length > whole.length) note('Interrupted pulls were left out.');
  return verdicts.some(({ problems }) => problems.length > 0) ? 1 : 0;
});

const again = (model: StoredModel | undefined): string[] => {
  const how = model && howToFetchAgain(model);
  return how ? [`  fetch it again: ${how}`] : [];
};

export const optimise = command(modelUsage, { undo: { type: 'boolean' } }, async (call) => {
  const model = await findModel(call.models, one(call.words, 'model'));
  if (model.problem !== undefined || model.unfinished)
    throw new StoreError('damaged', `${model.name} is not sound: dreamgrid models verify ${model.name}`);
  if (existsSync(join(model.dir, 'unet', weightIndexFile)) && !call.flags['undo']) {
    call.say(
      { name: model.name, bytes: 0, optimised: true },
      `${model.name} needs none of it: its weights are opened as they lie.`,
    );
    return 0;
  }
  const bar = openBar(process.stderr);
  const bytes = call.flags['undo']
    ? await forgetOptimised(model)
    : await optimiseModel(call.models, model, (part, i, parts) => bar.show(part, i, parts)).finally(bar.end);
  call.say(
    { name: model.name, bytes, optimised: !call.flags['undo'] },
    call.flags['undo']
      ? `${model.name} is opened as it was exported again (${formatBytes(bytes)} freed).`
      : `${model.name} is optimised (${formatBytes(bytes)} beside it). Restart the workers. ` +
          'Its pictures may differ in the last bits from those painted before.',
  );
  return 0;
});

export const remove = command(modelUsage, { yes: { type: 'boolean' } }, async (call) => {
  const model = await findModel(call.models, one(call.words, 'model'));
  if (!(await agree(call, `Delete ${model.name} (${formatBytes(model.bytes)})?`))) return 1;
  await removeModel(call.models, model);
  call.say(
    { removed: model.name, bytes: model.bytes },
    `${model.name} is deleted (${formatBytes(model.bytes)}).`,
  );
  return 0;
});

export const modelCommands: Record<string, (args: string[]) => Promise<number>> = {
  pull,
  add,
  list,
  verify,
  optimise,
  optimize: optimise,
  remove,
};
