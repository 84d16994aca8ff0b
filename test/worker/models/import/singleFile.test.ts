import { describe, expect, it } from 'vitest';
import { buildNetwork } from '../../../../worker/engine/index.ts';
import type { Tensor, TensorFile } from '../../../../worker/models/import/safetensors.ts';
import { readSingleFile } from '../../../../worker/models/import/singleFile.ts';
import { readHeader } from './cases.ts';

/** The index of a file of 2022 and later, as its header has it. */
async function fileOf(
  name: 'sd2v' | 'sdxl',
  change: (tensors: Map<string, Tensor>) => void = () => undefined,
): Promise<TensorFile> {
  const { __metadata__: metadata, ...entries } = await readHeader(name);
  const tensors = new Map<string, Tensor>();
  let offset = 0;
  for (const [key, { dtype, shape }] of Object.entries(entries)) {
    const length = 2 * shape.reduce((product, side) => product * side, 1);
    tensors.set(key, { file: `${name}.safetensors`, dtype: dtype as Tensor['dtype'], shape, offset, length });
    offset += length;
  }
  change(tensors);
  return {
    file: `${name}.safetensors`,
    bytes: offset,
    tensors,
    metadata: (metadata ?? {}) as unknown as Record<string, string>,
  };
}

/** Builds every part and tells which keys of the file were never asked for. */
function unusedKeys(file: TensorFile): string[] {
  const source = readSingleFile(file);
  const places = new Set<number>();
  for (const { network, config, find } of source.parts) {
    buildNetwork(network, config, (name) => {
      const found = find(name);
      if (!found) return undefined;
      places.add(found.offset);
      return {
        type: 'float16',
        shape: found.shape,
        location: 'w',
        offset: found.offset,
        length: found.length,
      };
    });
  }
  return [...file.tensors]
    .filter(([, { offset, length }]) => {
      for (const place of places) if (place >= offset && place < offset + length) return false;
      return true;
    })
    .map(([key]) => key);
}

describe('Stable Diffusion 2', () => {
  it('is known by its shapes, and every weight of it is used but those that are known to be idle', async () => {
    const file = await fileOf('sd2v');
    const source = readSingleFile(file);
    expect(source).toMatchObject({
      kind: 'sd2',
      askPrediction: true,
      tokenizers: { tokenizer: { clip: '!' } },
    });
    const config = (part: string) => source.parts.find((each) => each.part === part)!.config;
    expect(config('unet')).toMatchObject({
      attention_head_dim: [1, 1, 1, 1],
      use_linear_projection: true,
      cross_attention_dim: 64,
    });
    expect(config('text_encoder')).toMatchObject({ num_hidden_layers: 23, hidden_act: 'gelu' });
    const idle = unusedKeys(file).filter((key) => !key.includes('resblocks.23.'));
    expect(idle).toEqual([
      'alphas_cumprod',
      'cond_stage_model.model.logit_scale',
      'cond_stage_model.model.text_projection',
    ]);
  });

  it('is believed by key, metadata and name before it is asked', async () => {
    const scalar: Tensor = { file: 'x', dtype: 'F32', shape: [], offset: 1e9, length: 4 };
    const file = await fileOf('sd2v');
    expect(readSingleFile({ ...file, metadata: { 'modelspec.prediction_type': 'epsilon' } })).toMatchObject({
      askPrediction: false,
      scheduler: { _class_name: 'PNDMScheduler', prediction_type: 'epsilon' },
    });
    expect(readSingleFile({ ...file, metadata: { 'modelspec.predict_key': 'v' } }).scheduler).toMatchObject({
      _class_name: 'DDIMScheduler',
      prediction_type: 'v_prediction',
    });
    const sdxl = await fileOf('sdxl', (tensors) => tensors.set('v_pred', scalar).set('ztsnr', scalar));
    expect(readSingleFile(sdxl).scheduler).toMatchObject({
      _class_name: 'EulerDiscreteScheduler',
      prediction_type: 'v_prediction',
      rescale_betas_zero_snr: true,
      timestep_spacing: 'trailing',
    });
    const named = { ...(await fileOf('sdxl')), file: '/models/noobai-XL-vPred-1.0.safetensors' };
    expect(readSingleFile(named).scheduler).toMatchObject({ rescale_betas_zero_snr: true });
  });
});

describe('Stable Diffusion XL', () => {
  it('is known by its shapes, and every weight of it is used', async () => {
    const file = await fileOf('sdxl');
    const source = readSingleFile(file);
    expect(source).toMatchObject({
      kind: 'sdxl',
      askPrediction: false,
      index: { _class_name: 'StableDiffusionXLPipeline' },
      tokenizers: { tokenizer: { clip: 'end' }, tokenizer_2: { clip: '!' } },
      scheduler: { _class_name: 'EulerDiscreteScheduler', timestep_spacing: 'leading', steps_offset: 1 },
    });
    expect(source.parts.map(({ part }) => part)).toEqual([
      'text_encoder',
      'text_encoder_2',
      'unet',
      'vae_decoder',
      'vae_encoder',
    ]);
    expect(unusedKeys(file)).toEqual([
      'conditioner.embedders.0.transformer.text_model.embeddings.position_ids',
      'conditioner.embedders.1.model.logit_scale',
      'denoiser.sigmas',
    ]);
  });

  it("is found under ComfyUI's names of its encoders too", async () => {
    const file = await fileOf('sdxl', (tensors) => {
      for (const [key, tensor] of [...tensors]) {
        const moved = key.replace('conditioner.embedders.0.', 'text_encoders.clip_l.');
        if (moved === key) continue;
        tensors.delete(key);
        tensors.set(moved, tensor);
      }
    });
    expect(readSingleFile(file).parts[0]).toMatchObject({
      part: 'text_encoder',
      config: { num_hidden_layers: 12 },
    });
  });
});
