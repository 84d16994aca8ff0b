/** Opens our own graphs without a file: built from a part's `config.json` and `weights.json`, weights mapped. */
import path from 'node:path';
import { buildStored, type NetworkForm, type OwnBuildOptions } from './ownGraph.ts';
import { openSession, type Session, type SessionSettings } from './session.ts';

export type { NetworkForm } from './ownGraph.ts';

/**
 * @param folder of the part
 * @throws EngineError('bad-model') for an index that is damaged, or weights that do not fit it
 */
export function openForm(
  folder: string,
  form: NetworkForm,
  settings: SessionSettings,
  options: Omit<OwnBuildOptions, 'form'> = {},
): Promise<Session> {
  const { bytes } = buildStored(folder, { ...options, form });
  return openSession(path.join(folder, 'model.onnx'), { ...settings, own: true, asIs: true }, bytes);
}
