import { join } from 'node:path';
import { messageOf } from '../../../shared/service/errors.ts';
import { checkSchedule, schedulerNames } from '../../engine/index.ts';
import type { Manifest } from '../manifest.ts';
import { StoreError } from './errors.ts';

/** Replaces a scheduler that the engine lacks: simple, and right for any discrete schedule. */
const INSTEAD = 'EulerDiscreteScheduler';

/**
 * Plans the manifest's schedules, so that a model that cannot be painted with is not installed.
 * @returns the manifest, with another default where its scheduler is not implemented, and notes for its owner
 * @throws StoreError('unsupported') naming the option that is not implemented
 */
export function fitSchedule(dir: string, manifest: Manifest): { manifest: Manifest; notes: string[] } {
  const { defaults, draft } = manifest;
  const isKnown = schedulerNames.some((name) => name.toLowerCase() === defaults.scheduler.toLowerCase());
  const fitted = isKnown ? manifest : { ...manifest, defaults: { ...defaults, scheduler: INSTEAD } };
  const notes = isKnown
    ? []
    : [
        `Its scheduler ${defaults.scheduler} is not implemented: it paints with ${INSTEAD} (defaults.scheduler in its manifest.json).`,
      ];
  try {
    const { scheduler } = fitted.defaults;
    const { ignored, discrete } = checkSchedule(dir, { scheduler, steps: defaults.steps });
    if (!isKnown && !discrete) throw new Error(`the scheduler ${defaults.scheduler} is not implemented`);
    checkSchedule(dir, { scheduler, steps: draft.steps });
    for (const option of ignored)
      notes.push(`scheduler/scheduler_config.json: the option ${option} is not known and is ignored.`);
    return { manifest: fitted, notes };
  } catch (error) {
    throw new StoreError(
      'unsupported',
      `${join(dir, 'scheduler/scheduler_config.json')}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
