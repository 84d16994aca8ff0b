import { StoreError } from '../models/hub/errors.ts';
import type { ImportOptions } from '../models/import/importModel.ts';
import { pathFromUser } from './usage.ts';

/** What the owner says about a model's training, by flags of `models add` and `models pull`. */
export type ImportSettings = Pick<
  ImportOptions,
  'vae' | 'tinyVae' | 'upscaler' | 'prediction' | 'steps' | 'guidance' | 'scheduler'
>;

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
  const file = (name: string): string | undefined => {
    const given = text(name);
    return given === undefined ? undefined : pathFromUser(given);
  };
  const [vae, tinyVae, upscaler] = ['vae', 'tiny-vae', 'upscaler'].map(file);
  const scheduler = text('scheduler');
  return {
    ...(vae === undefined ? {} : { vae }),
    ...(tinyVae === undefined ? {} : { tinyVae }),
    ...(upscaler === undefined ? {} : { upscaler }),
    ...(prediction ? { prediction } : {}),
    ...(steps === undefined ? {} : { steps }),
    ...(guidance === undefined ? {} : { guidance }),
    ...(scheduler === undefined ? {} : { scheduler }),
  };
}

/** The first flag that was given, as the owner wrote it. */
export const flagOf = (settings: ImportSettings): string =>
  `--${Object.keys(settings)[0]!.replace(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;

const predictions: Readonly<Record<string, 'epsilon' | 'v_prediction'>> = {
  epsilon: 'epsilon',
  eps: 'epsilon',
  v_prediction: 'v_prediction',
  'v-prediction': 'v_prediction',
  v: 'v_prediction',
};
