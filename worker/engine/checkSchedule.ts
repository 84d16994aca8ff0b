import type { Family } from './families/family.ts';
import { chooseFamily } from './families/index.ts';
import { type Folder, openFolder } from './onnx/folder.ts';
import { unknownOptions } from './schedulers/config.ts';
import { planSchedule } from './schedulers/index.ts';

/**
 * Plans a model's schedule as painting would, without opening a network.
 * @param dir the model's folder, in Optimum's layout
 * @param choice.scheduler a diffusers class name or an AUTOMATIC1111 name; the model's own where left out
 * @returns `ignored`: options of its scheduler_config.json that no scheduler has, and that change nothing;
 * `discrete`: whether it is trained on a beta schedule, so that any of the discrete schedulers suits it
 * @throws EngineError('unsupported' | 'bad-request') naming the class or the option that is not implemented
 */
export function checkSchedule(
  dir: string,
  choice: { readonly scheduler?: string; readonly steps: number },
): { readonly ignored: readonly string[]; readonly discrete: boolean } {
  const folder = openFolder(dir);
  const own = folder.config('scheduler', 'scheduler_config.json');
  const config = { ...own, ...repairsOf(folder) };
  planSchedule(config, choice.scheduler === undefined ? {} : { name: choice.scheduler }, {
    steps: choice.steps,
    eta: 0,
  });
  return { ignored: unknownOptions(own), discrete: 'beta_schedule' in own };
}

/** Repairs of the folder's family; none for a folder of no family, which loading refuses by the missing file. */
function repairsOf(folder: Folder): Family['schedulerRepairs'] {
  try {
    return chooseFamily(folder).schedulerRepairs;
  } catch {
    return undefined;
  }
}
