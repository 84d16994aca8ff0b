/** The engine: a folder of ONNX files in, pictures out. A pure library: no queue, no Discord, no environment. */

import { EngineError } from './errors.ts';
import { generate } from './generate.ts';
import type { Denoiser } from './latents/denoiser.ts';
import { loadParts } from './load.ts';
import { measureRows } from './measureRows.ts';
import { openFolder } from './onnx/folder.ts';
import { openStepLoop, type Seat } from './stepLoop.ts';
import { embed } from './text/embed.ts';
import type { LoadOptions, Model, ModelInfo } from './types.ts';
import { unclipLayout } from './unclip/layout.ts';
import { loadUnclip } from './unclip/load.ts';

export { type Base, baseOfFile, loraBase } from './adapters/index.ts';
export { checkSchedule } from './checkSchedule.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export { builderVersion, type ElementType, type Network, type Weight, type Weights } from './graph/index.ts';
export { optimise, optimisedDir } from './onnx/optimised.ts';
export {
  buildNetwork,
  buildStored,
  graphIsSound,
  indexOf,
  type NetworkKind,
  weightIndexFile,
} from './onnx/ownGraph.ts';
export { fromHalf } from './onnx/tensor.ts';
export { findScheduler, schedulerNames } from './schedulers/index.ts';
export { type Trial, tryModel } from './trialRun.ts';
export type * from './types.ts';

/** Opens a model's folder. @throws EngineError 'missing-file' | 'bad-model' | 'unsupported' | 'out-of-memory' */
export async function loadModel(dir: string, options: LoadOptions = {}): Promise<Model> {
  const folder = openFolder(dir);
  const layout = unclipLayout(folder);
  if (layout) return loadUnclip(folder, layout, options);
  const parts = await loadParts(dir, options);
  const { encoders, family, info } = parts;
  const { batch = {} } = options;
  const loop = openStepLoop({ ...batch, together: batch.together ?? info.provider !== 'cpu' });
  return {
    dir,
    family: family.name,
    info,
    generate: (request, hooks = {}) =>
      loop.seated(hooks.signal, (seat) =>
        generate({ ...parts, denoiser: seated(parts.denoiser, seat, info) }, request, hooks),
      ),
    async measureRows(free, now) {
      const rows = await measureRows(parts.denoiser, info, free, now);
      if (rows !== undefined) loop.limit(rows);
      return rows;
    },
    async upscale(picture, factor) {
      if (!parts.upscaler) throw new EngineError('unsupported', `${dir} has no upscaler`);
      return parts.upscaler.upscale(picture, factor);
    },
    ...(parts.encodeImage ? { encodeImage: parts.encodeImage } : {}),
    embed: (texts, pictures = []) => embed(parts, texts, pictures),
    ...(parts.check ? { check: parts.check } : {}),
    async encodeText(text) {
      const encoder = encoders.at(-1)!;
      const { pooled, hidden } = await encoder.encode(encoder.rows(text, false), 1);
      return { pooled, hidden };
    },
    tokenCount: (text) => encoders[0]!.tokenizer.encode(text).length,
    async release() {
      for (const session of parts.sessions) await session.release();
      await parts.adapters.release();
    },
  };
}

/** A denoiser whose calls go through a generation's seat in the step loop. */
function seated(denoiser: Denoiser, seat: Seat, { nativeSize, latentFactor }: ModelInfo): Denoiser {
  const native = (nativeSize / latentFactor) ** 2;
  return {
    ...denoiser,
    predict: (rows, height, width, { left = 0 } = {}) =>
      seat.ask({
        network: denoiser,
        shape: `${height}x${width}`,
        rows,
        weight: (height * width) / native,
        left,
        run: (all, most) => denoiser.predict(all, height, width, { most }),
      }),
  };
}
