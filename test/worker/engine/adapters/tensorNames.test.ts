import { describe, expect, it } from 'vitest';
import { readNetwork } from '../../../../worker/engine/adapters/adaptedNetwork.ts';
import { baseOfFile } from '../../../../worker/engine/adapters/baseModel.ts';
import { peftScale } from '../../../../worker/engine/adapters/peft.ts';
import { ldmName, oldStems, stems } from '../../../../worker/engine/adapters/tensorNames.ts';
import { ldmUNetName } from '../../../../worker/models/import/ldmNames.ts';
import { installed } from './setup.ts';

const sdxl = { layers: 2, levels: 3, attentionUp: (block: number) => block < 2, twoEncoders: true };
const sd1 = { layers: 2, levels: 4, attentionUp: (block: number) => block > 0, twoEncoders: false };
const toQ = 'down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q';

describe('names', () => {
  const place = installed('sdxl-sharded');
  it("the original code's are those that its own files have", () => {
    const { modules, shape } = readNetwork(place.dir, 'unet', true);
    for (const name of modules.keys())
      expect(`${ldmName(name, shape)}.weight`).toBe(
        ldmUNetName(`${name}.weight`, shape.layers, shape.attentionUp),
      );
    expect(modules.size).toBeGreaterThan(100);
  });

  it('of the U-Net: PEFT, diffusers, kohya, sgm, LyCORIS, bare', () => {
    expect(stems('unet', toQ, sdxl)).toEqual(
      expect.arrayContaining([
        `unet.${toQ}`,
        `base_model.model.${toQ}`,
        toQ,
        'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q',
        'lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q',
        'lycoris_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q',
        'diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q',
      ]),
    );
    expect(stems('unet', 'up_blocks.1.upsamplers.0.conv', sdxl)).toContain(
      'lora_unet_output_blocks_5_2_conv',
    );
    expect(stems('unet', 'up_blocks.0.upsamplers.0.conv', sd1)).toContain('lora_unet_output_blocks_2_1_conv');
    expect(stems('unet', 'mid_block.resnets.1.time_emb_proj', sdxl)).toContain(
      'lora_unet_middle_block_2_emb_layers_1',
    );
  });

  it('of the text encoders, which are told apart where there are two', () => {
    const module = 'text_model.encoder.layers.0.self_attn.q_proj';
    const flat = 'text_model_encoder_layers_0_self_attn_q_proj';
    expect(stems('text_encoder', module, sd1)).toEqual(
      expect.arrayContaining([
        `lora_te_${flat}`,
        `text_encoder.${module}`,
        `text_encoder.encoder.layers.0.self_attn.q_proj`,
      ]),
    );
    expect(stems('text_encoder', module, sdxl)).toContain(`lora_te1_${flat}`);
    expect(stems('text_encoder', module, sdxl)).not.toContain(`lora_te2_${flat}`);
    expect(stems('text_encoder_2', module, sdxl)).toEqual(
      expect.arrayContaining([`lora_te2_${flat}`, `text_encoder_2.${module}`]),
    );
  });

  it('of attention processors before PEFT', () => {
    const at = 'down_blocks.1.attentions.0.transformer_blocks.0.attn2';
    expect(oldStems('unet', `${at}.to_out.0`)).toContain(`unet.${at}.processor.to_out_lora`);
    expect(oldStems('unet', `${at}.to_k`)).toContain(`${at}.processor.to_k_lora`);
    expect(oldStems('text_encoder', 'text_model.encoder.layers.3.self_attn.out_proj')).toContain(
      'text_encoder.text_model.encoder.layers.3.self_attn.to_out_lora',
    );
    expect(oldStems('unet', 'conv_in')).toEqual([]);
  });
});

describe('scale', () => {
  const of = (config: Record<string, unknown>, rank = 4) => peftScale(config, 'unet', toQ, rank);
  it('is alpha over rank, by module where a pattern says so', () => {
    expect(of({})).toBe(1);
    expect(of({ 'unet.lora_alpha': 8 })).toBe(2);
    expect(of({ 'unet.lora_alpha': 8, 'unet.use_rslora': true })).toBe(4);
    expect(of({ 'unet.lora_alpha': 8, 'unet.alpha_pattern': { to_q: 2 } })).toBe(0.5);
    expect(of({ 'unet.lora_alpha': 8, 'unet.alpha_pattern': { [`^${toQ}`]: 1 } })).toBe(0.25);
    expect(of({ 'unet.lora_alpha': 8, 'unet.alpha_pattern': { o_q: 2, '^to_q': 2 } })).toBe(2);
    expect(of({ lora_alpha: 8 })).toBe(2);
  });
});

describe('the base of a file', () => {
  const of = (metadata: Record<string, string>, names: Record<string, number[]> = {}) =>
    baseOfFile({
      file: 'x',
      metadata,
      tensors: new Map(
        Object.entries(names).map(([name, shape]) => [
          name,
          { file: 'x', dtype: 'F32', shape, offset: 0, length: 0 },
        ]),
      ),
    });
  it.each([
    [{ ss_base_model_version: 'sdxl_base_v1-0' }, 'SDXL'],
    [{ ss_base_model_version: 'sd_v1' }, 'Stable Diffusion 1'],
    [{ ss_base_model_version: 'sd_v2_768_v' }, 'Stable Diffusion 2'],
    [{ 'modelspec.architecture': 'stable-diffusion-xl-v1-base/lora' }, 'SDXL'],
    [{ 'modelspec.architecture': 'stable-diffusion-v1/lora' }, 'Stable Diffusion 1'],
    [{ 'modelspec.architecture': 'flux-1-dev/lora' }, 'FLUX'],
    [{ ss_v2: 'True' }, 'Stable Diffusion 2'],
  ])('%o is %s', (metadata, base) => {
    expect(of(metadata)).toBe(base);
  });
  it('shows in names and widths where nothing is said', () => {
    expect(of({}, { [`lora_unet_${toQ}`]: [4, 320] })).toBeUndefined();
    expect(of({}, { 'lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha': [] })).toBe('SDXL');
    const cross = 'lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight';
    expect(of({}, { [cross]: [4, 768] })).toBe('Stable Diffusion 1');
    expect(of({}, { [cross]: [4, 1024] })).toBe('Stable Diffusion 2');
    expect(of({}, { [cross]: [4, 2048] })).toBe('SDXL');
  });
});
