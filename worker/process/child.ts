import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { EngineError } from '../engine/errors.ts';
import { loadModel } from '../engine/index.ts';
import type { Model, Step } from '../engine/types.ts';
import { faultPoint } from '../faultInjection.ts';
import { readSafetensors } from '../models/import/safetensors.ts';
import { toFloats, toPixels } from '../paint/pixels.ts';
import { freeDeviceMemory } from './deviceMemory.ts';
import { makePreviews } from './previews.ts';
import type { Ask, FromChild, StepNews, ToChild } from './protocol.ts';

/**
 * The engine's process. ONNX Runtime blocks the event loop while a model runs, and a crash of it ends its process; so
 * the engine runs in a child, and the parent stays responsive. One model, several questions at a time.
 */
let model: Model | undefined;
const aborts = new Map<number, AbortController>();

const tell = (message: FromChild): Promise<void> =>
  new Promise((sent) => {
    process.send?.(message, undefined, {}, () => sent());
  });

process.on('message', (message: ToChild) => {
  if ('abort' in message) aborts.get(message.id)?.abort();
  else void serve(message.id, message.ask);
});
// Without its parent the process has no work; ending it frees the GPU.
process.on('disconnect', () => process.exit(0));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined); // the parent decides
// The parent renews locks and sends cancels and previews: where cores are few, it goes first.
setPriority(5);
// Where memory runs out, the kernel shall end this process: its parent then tells the user.
void writeFile('/proc/self/oom_score_adj', '500').catch(() => undefined);

async function serve(id: number, ask: Ask): Promise<void> {
  const abort = new AbortController();
  aborts.set(id, abort);
  try {
    await tell({ id, kind: 'done', answer: await answer(id, ask, abort.signal) });
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    const code = error instanceof EngineError ? error.code : codeOf(message);
    await tell({ id, kind: 'failed', code, message, stack });
  } finally {
    aborts.delete(id);
  }
}

const onHalved = (mostRows: number): void => void tell({ kind: 'halved', mostRows });
/** Counts the call; tests let a call of more than one guided picture fail for lack of memory, or a large one crash. */
const onCall = async (rows: number): Promise<void> => {
  void tell({ kind: 'called', rows });
  if (rows > 8) await faultPoint('engine-large');
  if (rows > 2)
    await faultPoint('engine-call').catch(({ message }: Error) => {
      throw new EngineError('out-of-memory', message);
    });
};

/** ONNX Runtime has no error codes; these are its words for memory (CPU arena, CUDA, a failed JS allocation). */
const codeOf = (message: string): string =>
  /out of memory|bad_alloc|failed to allocate|allocation failed|CUDA_ERROR_OUT_OF_MEMORY/i.test(message)
    ? 'out-of-memory'
    : 'internal';

async function answer(id: number, ask: Ask, signal: AbortSignal): Promise<unknown> {
  if (ask.kind === 'load') {
    const onProgress = (part: string, index: number, total: number): void =>
      void tell({ id, kind: 'loading', news: { part, index, total } });
    model = await loadModel(ask.dir, {
      ...ask.options,
      onProgress,
      batch: { ...ask.options.batch, onCall, onHalved },
    });
    const measured = ask.options.measure ? await model.measureRows?.(freeDeviceMemory) : undefined;
    return { ...model.info, ...(measured === undefined ? {} : { mostRows: measured }) };
  }
  if (!model) throw new EngineError('bad-request', 'no model is loaded');
  if (ask.kind === 'upscale') return toPixels(await model.upscale(toFloats(ask.picture), ask.factor));
  if (ask.kind === 'check') return (await model.check?.(toFloats(ask.picture))) ?? false;

  if (ask.kind === 'embed') return model.embed(ask.texts, ask.pictures.map(toFloats));

  const { init, mask, meaning, loras = [], embeddings = [], ...request } = ask.request;
  const began = performance.now();
  const show = makePreviews(ask.previewEveryMs);
  const onStep = async (now: Step): Promise<void> => {
    await faultPoint('engine-step');
    const { step, steps, stage } = now;
    const previews = await show(now);
    const news: StepNews = {
      step,
      steps,
      ...(stage ? { stage } : {}),
      ...(previews.length > 0 ? { previews } : {}),
    };
    await tell({ id, kind: 'step', news });
  };
  const onPrepare = (file: string): void => {
    const preparing = basename(file).replace(/\.safetensors$/i, '');
    void tell({ id, kind: 'step', news: { step: 0, steps: request.steps, preparing } });
  };
  const { image, images, ...rest } = init ?? { strength: 1 };
  const painted = await model.generate(
    {
      ...request,
      loras: [
        await Promise.all(
          loras.map(async ({ file, ...use }) => ({ ...use, source: await readSafetensors(file) })),
        ),
      ],
      embeddings: await Promise.all(
        embeddings.map(async ({ file, ...use }) => ({ ...use, source: await readSafetensors(file) })),
      ),
      // The parent may enlarge the picture or lay it into another one; it has the whole checked itself.
      check: false,
      ...(init
        ? {
            init: {
              ...rest,
              ...(image ? { image: toFloats(image) } : {}),
              ...(images ? { images: images.map(toFloats) } : {}),
            },
          }
        : {}),
      ...(meaning ? { meaning: { ...meaning, pictures: meaning.pictures.map(toFloats) } } : {}),
      ...(mask ? { mask: Float32Array.from(mask, (value) => value / 255), softMask: true } : {}),
    },
    { signal, onStep, onPrepare },
  );
  // One message a picture: a clone of four large pictures at once would hold up the parent's event loop.
  for (const picture of painted.pictures) await tell({ id, kind: 'picture', picture: toPixels(picture) });
  const { latents, latentShape } = painted;
  return {
    pictures: [],
    latents,
    latentShape,
    ms: performance.now() - began,
  };
}
