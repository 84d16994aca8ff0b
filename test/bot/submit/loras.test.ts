import { expect, it } from 'vitest';
import {
  completeLoras,
  installedLoras,
  permitted,
  readLoraList,
  usableLoras,
} from '../../../bot/submit/loras.ts';
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
    denied: [],
  });
});

it('knows a LoRA by the hash of its file or of its tensors, whatever it is called there', () => {
  const cards = [
    { ...lora('pixelart', 'sd1'), sha256: 'a1'.repeat(32), tensors: 'b2'.repeat(32) },
    lora('ink', 'sd1'),
  ];
  const named = [
    { name: 'pixel art xyz', weight: 0.5, hash: 'b2b2b2b2b2b2' },
    { name: 'ink' },
    { name: 'ink2', hash: 'c3c3c3c3c3' },
  ];
  expect(installedLoras(named, cards, (name) => name !== 'ink')).toEqual({
    loras: [{ name: 'pixelart', weight: 0.5 }],
    missing: ['ink2'],
    denied: ['ink'],
  });
  expect(installedLoras([{ name: 'x', hash: 'a1a1a1a1a1' }], cards).loras).toEqual([
    { name: 'pixelart', weight: 0.8 },
  ]);
});

it('completes the last name of a list, keeps a weight, and offers what Discord can take back', () => {
  const cards = [{ ...lora('pixelart', 'sd1'), words: ['8 bit'] }, lora('ink', 'sd1')];
  const values = (typed: string) => completeLoras(typed, cards).map(({ value }) => value);
  expect(values('')).toEqual(['pixelart:0.8', 'ink:0.8']);
  expect(values('PIX')).toEqual(['pixelart:0.8']);
  expect(values('8 b')).toEqual(['pixelart:0.8']);
  expect(values('ink:0.5')).toEqual(['ink:0.5']);
  expect(values('ink:0.5, ')).toEqual(['ink:0.5, pixelart:0.8', 'ink:0.5, ink:0.8']);
  expect(values(`${'x'.repeat(95)}:1, p`)).toEqual([]);
  expect(completeLoras('p', cards)[0]?.name).toBe('pixelart:0.8 · 8 bit');
});
