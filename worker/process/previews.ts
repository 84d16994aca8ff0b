import type { Step } from '../engine/types.ts';
import { type Pixels, toPixels } from '../paint/pixels.ts';

/** The tiny decoder takes at most one part in so many of the time: a slow one shows previews less often. */
const parts = 10;

/**
 * Decides at which steps of one painting its pictures are shown, and how: by the model's tiny decoder at full size, or
 * by the linear map at latent resolution. None at the last step, whose pictures come by themselves.
 * @param now milliseconds; the process' own clock where left out
 */
export function makePreviews(
  everyMs: number,
  now: () => number = () => performance.now(),
): (step: Step) => Promise<Pixels[]> {
  let next = Number.NEGATIVE_INFINITY;
  return async ({ step, steps, preview, decodePreview }) => {
    const began = now();
    if (began < next || step >= steps) return [];
    const pictures = decodePreview ? await decodePreview() : preview();
    // A prior predicts an embedding, of which there is no picture.
    if (pictures.length === 0) return [];
    next = began + Math.max(everyMs, decodePreview ? parts * (now() - began) : 0);
    return pictures.map(toPixels);
  };
}
