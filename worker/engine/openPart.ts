/** Opens a part's file: as it is where it needs no optimisation, else optimised by ONNX Runtime. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { EngineError } from './errors.ts';
import { checkWeights, type Folder } from './onnx/folder.ts';
import { findLatentParameters } from './onnx/latentParameters.ts';
import { addOutput, readOnnx } from './onnx/onnxFile.ts';
import { optimisedDir } from './onnx/optimised.ts';
import { canHalve, refreshGraph } from './onnx/ownGraph.ts';
import { openForm } from './onnx/ownSession.ts';
import { openSession, type Session, type SessionSettings } from './onnx/session.ts';

/** Opens an optimised file. A damaged one is reported as such, not as a damaged model. */
export async function openBefore(dir: string, file: string, settings: SessionSettings): Promise<Session> {
  try {
    checkWeights(dir, file, readOnnx(file));
    return await openSession(file, { ...settings, asIs: true });
  } catch (error) {
    if (error instanceof EngineError && error.code === 'out-of-memory') throw error;
    const folder = optimisedDir(dir);
    throw new EngineError('bad-model', `${file} is damaged. Delete ${folder}, or make it again.`, {
      file,
      cause: error,
    });
  }
}

/**
 * Opens our own graph in two halves on the processor. On a GPU it is opened whole, because a text's keys and values
 * would be copied to its memory at each step; exports are opened whole, too.
 */
export async function openNetwork(
  folder: Folder,
  settings: SessionSettings,
): Promise<Session | { step: Session; text: Session }> {
  const file = folder.onnx('unet');
  const onnx = readOnnx(file);
  const dir = path.dirname(file);
  if (settings.providers[0] !== 'cpu' || onnx.builder === undefined || !canHalve(dir))
    return openPart(folder, 'unet', file, settings);
  refreshGraph(file, onnx);
  checkWeights(folder.dir, file, onnx);
  const step = await openForm(dir, 'step', settings);
  try {
    return { step, text: await openForm(dir, 'text', settings) };
  } catch (error) {
    await step.release();
    throw error;
  }
}

/** Opens a part, its own graph refreshed first. @throws EngineError naming a damaged or unusable file */
export async function openPart(
  folder: Folder,
  part: string,
  file: string,
  settings: SessionSettings,
): Promise<Session> {
  const found = readOnnx(file);
  const onnx = refreshGraph(file, found) ? readOnnx(file) : found;
  checkWeights(part === 'upscaler' || part === 'image_encoder' ? path.dirname(file) : folder.dir, file, onnx);
  // Our own graphs leave ONNX Runtime nothing to optimise, and their weights stay mapped; only an autoencoder's
  // convolutions gain more speed from repacking than its few weights cost in memory.
  const own = onnx.builder !== undefined;
  const session = await openSession(file, { ...settings, own, asIs: own && !repacked.includes(part) });
  if (part !== 'vae_encoder' || session.outputs.has('latent_parameters') || onnx.external.length > 0)
    return session;
  // diffusers samples a start picture from mean and variance, so both must be outputs.
  const output = [...session.outputs.values()][0]!;
  const channels = output.shape[1];
  const parameters =
    typeof channels === 'number' ? findLatentParameters(onnx, output.name, channels) : undefined;
  if (parameters === undefined || (output.type !== 'float32' && output.type !== 'float16')) return session;
  await session.release();
  return openSession(file, settings, addOutput(readFileSync(file), parameters, output.type));
}

const repacked = ['vae_decoder', 'vae_encoder', 'tiny_decoder', 'upscaler'];
