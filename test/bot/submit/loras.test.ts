import { expect, it } from 'vitest';
import { installedLoras, permitted, readLoraList, usableLoras } from '../../../bot/submit/loras.ts';
import type { LoraCard } from '../../../shared/picture/lora.ts';
import { card } from '../../shared/prompt/models.ts';

const lora = (name: string, base: LoraCard['base']): LoraCard => ({
  ...{ name, base, words: [], weight: 0.8 },
  sha256: '0'.repeat(64),
});
const loras = [lora('pixelart', 'sd1'), lora('ink', undefined), lora('xl', 'sdxl')];
const models = new Map([
  ['sd', { ...card({ name: 'sd' }), base: 'sd1' as const, loras }],
  ['export', card({ name: 'export' })],
]);
const names = (rules: string[]) => usableLoras(permitted(models, rules)).map(({ name }) => name);

it('a server names the LoRAs that may be used, or those that may not', () => {
  expect(names([])).toEqual(['pixelart', 'ink']);
  expect(names(['-INK'])).toEqual(['pixelart']);
  expect(names(['Ink'])).toEqual(['ink']);
  expect(names(['ink', '-ink'])).toEqual([]);
});

it('reads a list of LoRAs with and without weights', () => {
  expect(readLoraList('PixelArt, ink:-0.5,, new:1', usableLoras(models))).toEqual([
    { name: 'pixelart', weight: 0.8 },
    { name: 'ink', weight: -0.5 },
    { name: 'new', weight: 1 },
  ]);
});

it('takes what another program names where it is here, by its file and within our weights', () => {
  const named = [
    { name: 'styles/PixelArt.safetensors', weight: 3 },
    { name: 'ink' },
    { name: 'detail tweaker', weight: 0.5 },
  ];
  expect(installedLoras(named, usableLoras(models))).toEqual({
    loras: [
      { name: 'pixelart', weight: 2 },
      { name: 'ink', weight: 0.8 },
    ],
    missing: ['detail tweaker'],
  });
});
