/** Opens a part's file: as it lies there where nothing is left to optimise, else by ONNX Runtime's own means. */
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

/** A damaged file of ours must not be taken for a damaged model. */
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
 * Our own graph in two halves where the processor runs it; on a GPU, whose memory the texts' keys and values would have
 * to reach again at each step, and everybody else's, whole.
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

export async function openPart(
  folder: Folder,
  part: string,
  file: string,
  settings: SessionSettings,
): Promise<Session> {
  const found = readOnnx(file);
  const onnx = refreshGraph(file, found) ? readOnnx(file) : found;
  checkWeights(part === 'upscaler' || part === 'image_encoder' ? path.dirname(file) : folder.dir, file, onnx);
  // Our own graphs leave ONNX Runtime nothing to rewrite, and their weights stay mapped; the convolutions of an
  // autoencoder alone gain more by being packed than its few weights take.
  const own = onnx.builder !== undefined;
  const session = await openSession(file, { ...settings, own, asIs: own && !repacked.includes(part) });
  if (part !== 'vae_encoder' || session.outputs.has('latent_parameters') || onnx.external.length > 0)
    return session;
  // Without mean and variance apart, a picture to start from could not be met as diffusers meets it.
  const output = [...session.outputs.values()][0]!;
  const channels = output.shape[1];
  const parameters =
    typeof channels === 'number' ? findLatentParameters(onnx, output.name, channels) : undefined;
  if (parameters === undefined || (output.type !== 'float32' && output.type !== 'float16')) return session;
  await session.release();
  return openSession(file, settings, addOutput(readFileSync(file), parameters, output.type));
}

const repacked = ['vae_decoder', 'vae_encoder', 'tiny_decoder', 'upscaler'];
