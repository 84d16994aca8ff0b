import { randomInt } from 'node:crypto';
import { access, constants, readFile, writeFile } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { type MessageKey, say, sayError, withInstead } from '../../shared/messages/index.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../shared/picture/resolve.ts';
import { pictureKeys, type Store } from '../../shared/picture/store.ts';
import {
  caretLines,
  drawStyle,
  notesOn,
  type ParsedPrompt,
  type Problem,
  parsePrompt,
} from '../../shared/prompt/index.ts';
import type { ModelCard, RenderRequest } from '../../shared/queue/job.ts';
import { readEnv } from '../../shared/service/env.ts';
import { ConfigError, messageOf, PermanentError, UserError } from '../../shared/service/errors.ts';
import { type AdapterStore, openAdapterStore } from '../models/adapterStore.ts';
import { type Models, needModel, readModels, toCard } from '../models/installed.ts';
import { composeGrid, encodePng, fitImage } from '../paint/grid.ts';
import { type PaintDeps, paint } from '../paint/paint.ts';
import { openEngine } from '../process/enginePool.ts';
import { openProgressBar } from './progressBar.ts';
import { modelsFolder, pathFromUser, readArgs, UsageError } from './usage.ts';

const USAGE =
  'dreamgrid imagine "<prompt with parameters>" [--out grid.png] [--image FILE] [--model NAME] [--json]';

/** Paints a prompt as on Discord, the grid into a file: the same parser, recipe and engine, without queue and bot. */
export async function imagine(args: string[]): Promise<number> {
  const options = {
    out: { type: 'string', default: 'grid.png' },
    image: { type: 'string' },
    model: { type: 'string' },
    json: { type: 'boolean', default: false },
  } as const;
  const { values, positionals } = readArgs(args, options, USAGE);
  const [text, ...rest] = positionals;
  if (text === undefined || rest.length > 0)
    throw new UsageError(
      text === undefined
        ? `The prompt is missing. Usage: ${USAGE}`
        : `One prompt in quotes is expected. Usage: ${USAGE}`,
    );

  const outFolder = dirname(pathFromUser(values.out));
  await access(outFolder, constants.W_OK).catch(() => {
    throw new UsageError(`${outFolder} is not a folder that can be written; choose another --out.`);
  });
  const env = readEnv();
  const root = modelsFolder(env);
  const models = await readModels(root);
  const model = needModel(models, values.model ?? env.DEFAULT_MODEL, root);
  const adapters = await openAdapterStore(root);
  const prompts = parse(text, models, model.name, adapters);
  if (!prompts) return 2;
  const { store, key } = await openScratch(values.image);

  const engine = openEngine({
    providers: env.PROVIDERS,
    threads: env.THREADS,
    deadlineMs: env.JOB_DEADLINE_S * 1000,
    onProviderMissing: (text) => process.stderr.write(`${text}\n`),
  });
  try {
    for (const [i, prompt] of prompts.entries()) {
      const request = toRequest(prompt, prompt.params.model ?? model.name, key);
      const out = pathFromUser(numbered(values.out, i));
      const facts = await paintFile({ engine, store, model: models.get, adapters }, request, out, models);
      process.stdout.write(values.json ? `${JSON.stringify(facts)}\n` : `${out}  seed ${facts.seed}\n`);
    }
    return 0;
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return error instanceof UserError ? 2 : 1;
  } finally {
    await engine.close();
  }
}

/** Prints every problem with its place, as the bot does. */
function parse(
  text: string,
  models: Models,
  defaultModel: string,
  adapters: AdapterStore,
): ParsedPrompt[] | undefined {
  const cards = new Map<string, ModelCard>(models.all.map((model) => [model.name, toCard(model, adapters)]));
  const parsed = parsePrompt(text, { models: cards, defaultModel });
  if (!parsed.ok) {
    const lines = parsed.problems.map((problem) => `- ${describe(problem)}`);
    process.stderr.write(`${caretLines(text, parsed.problems)}\n${lines.join('\n')}\n`);
    return undefined;
  }
  const link = parsed.prompts.flatMap((prompt) => [...prompt.images, ...prompt.srefs])[0];
  if (link !== undefined)
    throw new UsageError('Links to pictures work on Discord only; here use --image FILE.');
  for (const { code, typed, instead } of notesOn(text))
    process.stderr.write(`${say('en', `note.${code}`, { typed, instead })}\n`);
  return parsed.prompts.map((prompt) => drawStyle(prompt, () => randomInt(2 ** 32)));
}

function describe({ code, params, suggestion }: Problem): string {
  const ranged = code === 'out-of-range' && params['model'] !== undefined;
  const key: MessageKey = ranged ? 'problem.out-of-range-model' : `problem.${code}`;
  const hint = suggestion === undefined ? '' : ` ${say('en', 'problem.suggestion', { suggestion })}`;
  return `${say('en', key, withInstead('en', params))}${hint}`;
}

function toRequest(prompt: ParsedPrompt, model: string, image: string | undefined): RenderRequest {
  return {
    v: 1,
    jobId: '100000000000000000',
    action: 'imagine',
    prompt: prompt.text,
    parts: prompt.parts,
    negative: prompt.negative,
    params: prompt.params,
    model,
    seed: prompt.params.seed ?? randomInt(2 ** 32),
    count: prompt.params.count ?? 4,
    ...(image ? { image: { key: image } } : {}),
    user: { id: '100000000000000000', name: 'cli' },
    createdAt: Date.now(),
  };
}

async function paintFile(deps: PaintDeps, request: RenderRequest, out: string, models: Models) {
  const model = models.get(request.model);
  if (!model) throw new PermanentError('no-model', { model: request.model });
  const recipe: Recipe = resolveRecipe(request, toCard(model, deps.adapters));
  const bar = openProgressBar();
  const { pictures, ms } = await paint(deps, recipe, {
    onStep: ({ step, steps }) => bar.update(step, steps),
    previewEveryMs: Number.POSITIVE_INFINITY,
  }).finally(() => bar.done());
  const grid = await composeGrid(pictures);
  const bytes = await encodePng(grid, recipe, 0);
  await writeFile(out, bytes).catch((error) => {
    throw new ConfigError(`Cannot write ${out} (${messageOf(error)}).`);
  });
  const { width, height } = grid;
  return { out, width, height, bytes: bytes.length, ms: Math.round(ms), seed: recipe.seed, recipe };
}

/** A store in memory; an image prompt gets a key in it, as the bot would store it. */
async function openScratch(image: string | undefined): Promise<{ store: Store; key: string | undefined }> {
  const files = new Map<string, Buffer>();
  const store: Store = {
    put: async (key, bytes) => void files.set(key, Buffer.from(bytes)),
    get: async (key) => files.get(key),
    has: async (key) => files.has(key),
    remove: async (key) => void files.delete(key),
    list: async function* () {},
    jobs: async function* () {},
    check: async () => undefined,
  };
  if (image === undefined) return { store, key: undefined };
  const path = pathFromUser(image);
  const bytes = await readFile(path).catch((error) => {
    throw new UsageError(`Cannot read ${path} (${(error as NodeJS.ErrnoException).code}).`);
  });
  await fitImage(bytes, 8, 8).catch(() => {
    throw new UsageError(`${path} is not a PNG, JPEG or WebP picture that can be read.`);
  });
  const key = pictureKeys.upload('0'.repeat(64));
  await store.put(key, bytes);
  return { store, key };
}

const numbered = (path: string, index: number): string => {
  const extension = extname(path);
  return index === 0 ? path : `${path.slice(0, path.length - extension.length)}-${index + 1}${extension}`;
};

function explain(error: unknown): string {
  if (error instanceof UserError || error instanceof PermanentError) {
    const { title, text } = sayError('en', error.code, error.params, 'failed');
    return `${title}: ${text}`;
  }
  return messageOf(error);
}
