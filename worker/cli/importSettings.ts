import { StoreError } from '../models/hub/errors.ts';
import type { ImportOptions } from '../models/import/importModel.ts';
import { pathFromUser } from './usage.ts';

/** What the owner says of a model's training; its flags are those of `models add` and `models pull`. */
export type ImportSettings = Pick<ImportOptions, 'vae' | 'prediction' | 'steps' | 'guidance' | 'scheduler'>;

/** @throws StoreError('usage') which names the flag */
export function importSettings(
  flags: Readonly<Record<string, string | boolean | undefined>>,
): ImportSettings {
  const text = (name: string): string | undefined => flags[name] as string | undefined;
  const number = (name: string, least: number, most: number, whole: boolean): number | undefined => {
    const given = text(name);
    if (given === undefined) return undefined;
    const value = Number(given);
    if (given.trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value)))
      return value;
    throw new StoreError(
      'usage',
      `--${name} ${JSON.stringify(given)} is no ${whole ? 'whole number' : 'number'} from ${least} to ${most}.`,
    );
  };
  const prediction = predictions[text('prediction') ?? ''];
  if (text('prediction') !== undefined && !prediction)
    throw new StoreError('usage', `--prediction ${text('prediction')} is neither epsilon nor v_prediction.`);
  const steps = number('steps', 1, 1000, true);
  const guidance = number('guidance', 0, 100, false);
  const vae = text('vae');
  const scheduler = text('scheduler');
  return {
    ...(vae === undefined ? {} : { vae: pathFromUser(vae) }),
    ...(prediction ? { prediction } : {}),
    ...(steps === undefined ? {} : { steps }),
    ...(guidance === undefined ? {} : { guidance }),
    ...(scheduler === undefined ? {} : { scheduler }),
  };
}

const predictions: Readonly<Record<string, 'epsilon' | 'v_prediction'>> = {
  epsilon: 'epsilon',
  eps: 'epsilon',
  v_prediction: 'v_prediction',
  'v-prediction': 'v_prediction',
  v: 'v_prediction',
};
