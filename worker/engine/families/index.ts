/** The table of families: the first that recognises a folder takes it. */
import { EngineError } from '../errors.ts';
import type { Folder } from '../onnx/folder.ts';
import type { Family } from './family.ts';
import { latentConsistency } from './latentConsistency.ts';
import { stableDiffusion } from './stableDiffusion.ts';
import { stableDiffusionXl } from './stableDiffusionXl.ts';

const families: readonly Family[] = [latentConsistency, stableDiffusionXl, stableDiffusion];

/** @throws EngineError 'unsupported' for a folder of no known family, 'missing-file' where a needed part is missing */
export function chooseFamily(folder: Folder): Family {
  const className = String(folder.index['_class_name'] ?? 'a model without _class_name');
  if (folder.has('transformer')) {
    throw new EngineError(
      'unsupported',
      `${folder.dir} holds a ${className}: models with a transformer (SD3, FLUX) cannot be painted with yet`,
      { file: folder.dir },
    );
  }
  const family = families.find((candidate) => candidate.matches(folder));
  if (family) return family;
  const missing = ['unet', 'text_encoder', 'vae_decoder'].filter((part) => !folder.has(part));
  if (missing.length > 0) {
    const file = folder.at(`${missing[0]}/model.onnx`);
    throw new EngineError('missing-file', `${file} is missing. Fetch or export the model again.`, { file });
  }
  throw new EngineError('unsupported', `${folder.dir} holds a ${className}, which the engine does not know`, {
    file: folder.dir,
  });
}
