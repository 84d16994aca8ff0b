/** How a family of models comes from words to a picture; what /compare sets side by side. */
export type WayOfPainting = 'latent-diffusion' | 'unclip' | 'kandinsky';

/** @param family as a model's card has it */
export function wayOfPainting(family: string): WayOfPainting {
  if (/^unclip/i.test(family)) return 'unclip';
  return /^kandinsky/i.test(family) ? 'kandinsky' : 'latent-diffusion';
}
