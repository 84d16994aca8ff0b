/** Several members' LoRAs in one call: nobody's picture depends on the others'. */
import { describe, expect, it } from 'vitest';
import { installed, lora, paintWith } from './setup.ts';

const place = installed('sd15');

describe('pictures with different LoRAs in one call', () => {
  it('equal each alone, bit for bit: linear, convolutions, an overlay, none', async () => {
    const lists = [
      [await lora('lora/sd15/kohya.safetensors', 0.8)],
      [],
      [await lora('lora/sd15/locon.safetensors', 0.6), await lora('lora/sd15/diffusers.safetensors', -0.5)],
      [await lora('lora/sd15/loha.safetensors', 0.9), await lora('lora/sd15/kohya.safetensors', 0.4)],
    ];
    const seeds = [11, 12, 13, 14];
    const together = await paintWith(place.dir, { seeds, loras: lists });
    for (const [i, list] of lists.entries()) {
      const alone = await paintWith(place.dir, {
        seeds: [seeds[i]!],
        ...(list.length > 0 ? { loras: [list] } : {}),
      });
      expect(alone.pictures[0], `picture ${i}`).toEqual(together.pictures[i]);
      expect(alone.latents[0]).toEqual(together.latents[i]);
    }
    const [first, second] = together.pictures;
    expect(first!.data).not.toEqual(second!.data);
  });

  it('one list counts for all, and four together are each alone', async () => {
    const loras = [[await lora('lora/sd15/diffusers.safetensors')]];
    const together = await paintWith(place.dir, { seeds: [1, 2], loras });
    const alone = await paintWith(place.dir, { seeds: [2], loras });
    expect(alone.pictures[0]).toEqual(together.pictures[1]);
  });

  it('a weight of 0 paints what no LoRA paints', async () => {
    const nothing = await paintWith(place.dir, { loras: [[await lora('lora/sd15/locon.safetensors', 0)]] });
    expect(nothing.pictures).toEqual((await paintWith(place.dir, {})).pictures);
  });

  it('refuses lists that are not one a picture', async () => {
    const one = [await lora('lora/sd15/kohya.safetensors')];
    await expect(paintWith(place.dir, { seeds: [1, 2, 3], loras: [one, one] })).rejects.toThrow(
      '2 lists of LoRAs for 3 pictures',
    );
  });
});
