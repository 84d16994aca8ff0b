/** How a family of models paints; /compare without names takes one model of each way. */
export type WayOfPainting = 'latent-diffusion' | 'unclip' | 'kandinsky';

/** Whether a family's models can paint a part of a picture anew and keep the rest. */
export const repaintsParts = (family: string): boolean => wayOfPainting(family) === 'latent-diffusion';

/** @param family as a model's card has it */
export function wayOfPainting(family: string): WayOfPainting {
  if (/^unclip/i.test(family)) return 'unclip';
  return /^kandinsky/i.test(family) ? 'kandinsky' : 'latent-diffusion';
}
