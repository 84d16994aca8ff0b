import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { modelDir } from '../../../support/reference.ts';
import { data, safetensors } from '../../models/import/cases.ts';
import { installed, lora, paintWith } from './setup.ts';

const place = installed('sd15');
const numbers = (shape: number[]) => ({
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(4 * shape.reduce((a, b) => a * b, 1)),
});

async function written(
  name: string,
  tensors: Record<string, number[]>,
  metadata: Record<string, string> = {},
) {
  await mkdir(join(place.work, 'files'), { recursive: true });
  const file = join(place.work, 'files', `${name}.safetensors`);
  const content = Object.fromEntries(Object.entries(tensors).map(([key, shape]) => [key, numbers(shape)]));
  await writeFile(file, safetensors(content, metadata));
  return readSafetensors(file);
}

const refusal = async (...given: Parameters<typeof written>): Promise<string> =>
  paintWith(place.dir, { loras: [[{ source: await written(...given), weight: 1 }]] }).then(
    () => expect.unreachable('it was used'),
    (error: Error) => error.message,
  );

const toQ = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q';

describe('a file that is no LoRA for the model', () => {
  it('of another network is refused by the first key that is unknown', async () => {
    const error = await paintWith(place.dir, {
      loras: [[await lora('lora/unknown-key.safetensors')]],
    }).catch((reason: Error) => reason.message);
    expect(error).toContain('unknown-key.safetensors cannot be used as a LoRA');
    expect(
      await refusal(
        'flux',
        {
          [`${toQ}.lora_down.weight`]: [2, 16],
          [`${toQ}.lora_up.weight`]: [16, 2],
          'lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight': [4, 32],
        },
        { ss_base_model_version: 'sd_v1' },
      ),
    ).toContain(
      '"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight" is a layer that it does not have (1 of 3 names are unknown)',
    );
  });

  it('of another base is refused by both names', async () => {
    const wide = { [`${toQ}.lora_down.weight`]: [4, 640], [`${toQ}.lora_up.weight`]: [640, 4] };
    expect(await refusal('xl', wide, { ss_base_model_version: 'sdxl_base_v1-0' })).toContain(
      'it is made for SDXL, and sd15 is a Stable Diffusion 1 model',
    );
    expect(await refusal('named', { 'lora_te2_text_model_encoder_layers_0_mlp_fc9.alpha': [] })).toContain(
      'it is made for SDXL, and sd15 is a Stable Diffusion 1 model',
    );
    expect(await refusal('untold', wide)).toContain(`${toQ} is 4×640 and 640×4 for a layer of 16×16`);
  });

  it('with half of a pair, an odd magnitude or no numbers is refused', async () => {
    expect(await refusal('half', { [`${toQ}.lora_down.weight`]: [4, 16] })).toContain(
      'has one factor of two',
    );
    expect(await refusal('hada', { [`${toQ}.hada_w1_a`]: [16, 2] })).toContain('lacks a factor of its LoHa');
    expect(await refusal('magnitude', { [`${toQ}.dora_scale`]: [16, 1] })).toContain(
      'nothing that it belongs to',
    );
    expect(await refusal('empty', {})).toContain('it holds nothing');
    expect(await refusal('oft', { [`${toQ}.oft_blocks`]: [4, 4, 4] })).toContain('oft_blocks');
    expect(await refusal('peft', { [`${toQ}.alpha`]: [] }, { lora_adapter_metadata: '[' })).toContain(
      'lora_adapter_metadata is no JSON object',
    );
  });

  it('is refused by an ONNX export where it is more than pairs of factors', async () => {
    const loras = [[await lora('lora/sd15/loha.safetensors')]];
    await expect(paintWith(modelDir('sd15'), { loras })).rejects.toThrow(
      'loha.safetensors is more than pairs of factors, and model is an ONNX export',
    );
  });
});

describe('a file that is no embedding for the model', () => {
  it('is refused by its form or its width', async () => {
    const embedding = async (file: string) => ({
      token: 'word',
      source: await readSafetensors(join(data, file)),
    });
    await expect(
      paintWith(place.dir, { embeddings: [await embedding('embeddings/sdxl.safetensors')] }),
    ).rejects.toThrow('it is made for SDXL, and sd15 is a Stable Diffusion 1 model');
    const wide = await written('wide', { emb_params: [2, 768] });
    await expect(paintWith(place.dir, { embeddings: [{ token: 'word', source: wide }] })).rejects.toThrow(
      'its vectors are 2×768, those of sd15 (Stable Diffusion 1) 32 wide',
    );
    await expect(
      paintWith(place.dir, { embeddings: [await embedding('lora/sd15/kohya.safetensors')] }),
    ).rejects.toThrow('neither emb_params nor clip_l and clip_g');
  });

  it('an ONNX export takes none', async () => {
    const source = await readSafetensors(join(data, 'embeddings/sd15-a1111.safetensors'));
    await expect(
      paintWith(modelDir('sd15'), { prompt: 'a word', embeddings: [{ token: 'word', source }] }),
    ).rejects.toThrow('takes no embeddings');
  });
});
