/** Every form of adapter, on linear layers, convolutions and norms, against PEFT's and LyCORIS' formulas in torch. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readNetwork, sides } from '../../../../worker/engine/adapters/adaptedNetwork.ts';
import { joinFactors, lowRankOf } from '../../../../worker/engine/adapters/factors.ts';
import { multiply, transpose } from '../../../../worker/engine/adapters/matrixProduct.ts';
import { makeOverlay } from '../../../../worker/engine/adapters/overlay.ts';
import { readChanges } from '../../../../worker/engine/adapters/readLora.ts';
import { readFloats, readRange } from '../../../../worker/engine/adapters/tensorSource.ts';
import { loadModel } from '../../../../worker/engine/index.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { data } from '../../models/import/cases.ts';
import { installed, lora, paintWith } from './setup.ts';

const strength = 0.7;
const place = installed('sd15');
const open = () => readNetwork(place.dir, 'unet', false);
const changesOf = async (file: string) => {
  const networks = [open(), readNetwork(place.dir, 'text_encoder', false)];
  const source = await readSafetensors(join(data, file));
  return readChanges(source, networks, { name: 'sd15', base: 'Stable Diffusion 1' }).get('unet')!;
};

const furthest = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
};

describe('merged weights', () => {
  for (const form of ['loha', 'lokr', 'dora-lycoris', 'dora-peft', 'full'])
    it(form, async () => {
      const network = open();
      const changes = await changesOf(`lora/forms/${form}.safetensors`);
      const merges = [...changes].map(([name, change]) => {
        const module = network.modules.get(name)!;
        return { module: { ...module, weight: module.weight! }, parts: [{ change, strength }] };
      });
      for (const { module, parts } of merges)
        expect(lowRankOf(parts[0]!.change, module), `${module.name} can be fed`).toBeUndefined();
      const folder = await makeOverlay(place.dir, form, network, merges);
      const overlay = readNetwork(join(place.dir, 'overlays', form), 'unet', false);
      const expected = await readSafetensors(join(data, `lora/forms/${form}-merged.safetensors`));
      for (const [name, stored] of expected.tensors) {
        const [module, tail] = [
          name.replace(/\.(weight|bias)$/, ''),
          name.endsWith('bias') ? 'bias' : 'weight',
        ];
        const { location, offset } = overlay.modules.get(module)![tail as 'weight' | 'bias']!;
        expect(location).toBe('merged.bin');
        const bytes = readRange(join(folder, location), offset, stored.length);
        expect(furthest(new Float32Array(bytes.buffer), readFloats(stored).data), name).toBeLessThan(1e-6);
      }
    });

  it('a middle factor goes into the lower one', async () => {
    const network = open();
    const changes = await changesOf('lora/forms/locon-mid.safetensors');
    const expected = await readSafetensors(join(data, 'lora/forms/locon-mid-merged.safetensors'));
    const unet = await readSafetensors(join(place.dir, 'unet/weights.safetensors'));
    for (const [name, change] of changes) {
      const module = network.modules.get(name)!;
      const { out, into, window } = sides(module);
      const low = lowRankOf(change, module)!;
      const { rank, down, up } = await joinFactors(
        module,
        low.map((each) => ({ change: each, strength })),
      );
      const delta = await multiply(up, down, out, rank, into * window);
      const weight = readFloats(unet.tensors.get(`${name}.weight`)!).data;
      const merged = weight.map((value, i) => value + delta[i]!);
      expect(furthest(merged, readFloats(expected.tensors.get(`${name}.weight`)!).data)).toBeLessThan(1e-6);
    }
  });

  it('ranks of several LoRAs stand side by side', async () => {
    const network = open();
    const [a, b] = [
      await changesOf('lora/sd15/kohya.safetensors'),
      await changesOf('lora/sd15/diffusers.safetensors'),
    ];
    const name = [...a.keys()].find((each) => b.has(each) && network.modules.get(each)!.port === 'linear')!;
    const module = network.modules.get(name)!;
    const { out, into } = sides(module);
    const parts = [a, b].map((changes) => ({ change: lowRankOf(changes.get(name)!, module)![0]!, strength }));
    const product = async (given: typeof parts): Promise<Float32Array> => {
      const { rank, down, up } = await joinFactors(module, given);
      return multiply(transpose(up, rank, out), transpose(down, into, rank), out, rank, into);
    };
    const [left, right] = [await product([parts[0]!]), await product([parts[1]!])];
    const both = await product(parts);
    expect(
      furthest(
        both,
        left.map((value, i) => value + right[i]!),
      ),
    ).toBeLessThan(1e-6);
  });
});

describe('overlays', () => {
  it('are made once, said before, and stand when the model is opened again', async () => {
    const loras = [[await lora('lora/sd15/loha.safetensors')]];
    const prepared: string[] = [];
    const hooks = { onPrepare: (file: string) => prepared.push(file) };
    const first = await paintWith(place.dir, { loras }, hooks);
    expect(prepared).toHaveLength(1);
    expect(prepared[0]).toMatch(/loha\.safetensors$/);
    const again = await paintWith(place.dir, { loras }, hooks);
    expect(prepared).toHaveLength(1);
    expect(again.pictures).toEqual(first.pictures);
  });

  it('make room for each other, the least recently used first', async () => {
    const model = await loadModel(place.dir, {
      threads: 1,
      overlayBytes: 1,
    });
    const request = { prompt: 'x', seeds: [1], width: 64, height: 64, steps: 1, guidance: 1 };
    try {
      await model.generate({ ...request, loras: [[await lora('lora/sd15/lokr.safetensors', 0.3)]] });
    } finally {
      await model.release();
    }
    // What the painting itself uses stays, however small the room.
    expect(await readdir(join(place.dir, 'overlays'))).toHaveLength(1);
    const forgotten = await paintWith(place.dir, { loras: [[await lora('lora/sd15/loha.safetensors')]] });
    expect(forgotten.pictures).toHaveLength(1);
    expect(existsSync(join(place.dir, 'overlays'))).toBe(true);
  });
});
