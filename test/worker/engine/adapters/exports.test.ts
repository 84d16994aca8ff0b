/** LoRAs on ONNX exports, whose nodes are called after their layers. */
import { cp } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findAdapter } from '../../../../shared/picture/lora.ts';
import { loadModel } from '../../../../worker/engine/index.ts';
import { exportedModules } from '../../../../worker/engine/onnx/exportedModules.ts';
import { readOnnx } from '../../../../worker/engine/onnx/onnxFile.ts';
import { openAdapterStore } from '../../../../worker/models/adapterStore.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { readModels, toCard } from '../../../../worker/models/installed.ts';
import { meanDifference, modelDir } from '../../../support/reference.ts';
import { installed, lora, paintWith } from './setup.ts';

const models = resolve(import.meta.dirname, '../../../../models');

describe('pocket and the LoRA that it brings', () => {
  it('are found without any command, and fit each other', async () => {
    const store = await openAdapterStore(models);
    const card = toCard((await readModels(models)).get('pocket')!, store);
    expect(card).toMatchObject({ base: 'pocket', exported: true });
    expect(findAdapter(card.loras, 'Blueprint')).toMatchObject({
      base: 'pocket',
      words: ['blueprint'],
      weight: 0.75,
    });
  });

  it('paint white on blue; who has no LoRA, or another weight, paints as alone, bit for bit', async () => {
    const dir = join(models, 'pocket');
    const source = await readSafetensors(join(dir, 'loras/blueprint.safetensors'));
    const lists = [[], [{ source, weight: 0.8 }], [{ source, weight: 0 }], [{ source, weight: 0.5 }]];
    const model = await loadModel(dir, { threads: 1 });
    const paint = async (loras: typeof lists) => {
      const { pictures } = await model.generate({
        ...{ prompt: 'a castle, blueprint', negative: 'blurry', loras, seeds: loras.map(() => 3) },
        ...{ steps: 4, guidance: 3.5, width: 128, height: 128 },
      });
      return pictures.map(({ data }) => data);
    };
    const [plain, blue, none, half] = await paint(lists);
    expect(await paint([[]])).toEqual([plain]);
    expect(await paint([lists[1]!])).toEqual([blue]);
    expect(await paint([lists[3]!])).toEqual([half]);
    expect(none).toEqual(plain);
    await model.release();
    // Of 0..1, blue above red on average.
    const blueness = (data: Float32Array): number =>
      data.reduce((sum, value, i) => sum + (i % 3 === 2 ? value : i % 3 === 0 ? -value : 0), 0) /
      (data.length / 3);
    expect(blueness(blue!) - blueness(plain!)).toBeGreaterThan(0.2);
  });
});

describe('an export of Stable Diffusion', () => {
  const place = installed('sd15');

  it('paints with a LoRA what the same weights paint in a graph of ours', async () => {
    const exported = join(place.work, 'export');
    await cp(place.dir, exported, {
      recursive: true,
      filter: (file) => !/(weights\.json|adapted-.*|overlays)$/.test(file),
    });
    for (const [file, weight] of [
      ['lora/sd15/kohya.safetensors', 0.8],
      ['lora/sd15/locon.safetensors', 0.6],
    ] as const) {
      const { source, ...use } = await lora(file, weight);
      // A graph of ours has these 1×1 convolutions as products of reshaped weights, unlike what exporters write.
      const tensors = new Map(
        [...source.tensors].filter(
          ([name]) => !/attentions_\d_proj_(in|out)|attentions\.\d\.proj_(in|out)/.test(name),
        ),
      );
      const loras = [[{ ...use, source: { ...source, tensors } }]];
      const ours = await paintWith(place.dir, { loras });
      const theirs = await paintWith(exported, { loras });
      expect(meanDifference(theirs.pictures[0]!.data, ours.pictures[0]!.data), file).toBeLessThan(1e-5);
    }
  });

  it('is read by the names of its nodes or weights, and takes nothing where there are none', () => {
    const file = readOnnx(join(modelDir('sd15'), 'unet/model.onnx'));
    const modules = new Map(exportedModules(file).map((module) => [module.name, module]));
    expect(modules.get('down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q')?.kind).toBe('linear');
    expect(modules.get('conv_in')?.kind).toBe('convolution');
    const nodes = file.nodes.map((node, i) => ({ ...node, name: `${node.op}_${i}` }));
    const renamed = exportedModules({ ...file, nodes }).map(({ name }) => name);
    expect(renamed).not.toContain('down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q');
  });
});
