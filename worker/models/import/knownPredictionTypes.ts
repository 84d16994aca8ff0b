/** A source with its network's prediction type set. */

import type { Prediction, Source } from './modelSource.ts';
import { withPrediction } from './predictionType.ts';

/** Stable Diffusion 2 predicts v at 768 pixels and the noise at 512. */
const secondSampleSize: Readonly<Record<Prediction, number>> = { v_prediction: 96, epsilon: 64 };

export const predicting = (source: Source, prediction: Prediction): Source => ({
  ...source,
  // A folder's own scheduler is kept.
  scheduler: source.kind
    ? withPrediction(source.scheduler, prediction)
    : { ...source.scheduler, prediction_type: prediction },
  parts: source.parts.map((part) =>
    part.part === 'unet' && source.kind === 'sd2'
      ? { ...part, config: { ...part.config, sample_size: secondSampleSize[prediction] } }
      : part,
  ),
  askPrediction: false,
});
