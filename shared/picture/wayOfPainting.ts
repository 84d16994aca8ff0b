/** How a family of models comes from words to a picture; what /compare sets side by side. */
export type WayOfPainting = 'latent-diffusion' | 'unclip' | 'kandinsky';

/** Whether a part of a picture can be painted anew, beside what stays. */
export const repaintsParts = (family: string): boolean => wayOfPainting(family) === 'latent-diffusion';

/** @param family as a model's card has it */
export function wayOfPainting(family: string): WayOfPainting {
  if (/^unclip/i.test(family)) return 'unclip';
  return /^kandinsky/i.test(family) ? 'kandinsky' : 'latent-diffusion';
}
