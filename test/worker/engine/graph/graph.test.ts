import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError } from '../../../../worker/engine/errors.ts';
import {
  buildUNet,
  loraInputs,
  readTextConfig,
  readUNetConfig,
  readVaeConfig,
} from '../../../../worker/engine/graph/index.ts';
import { loadModel } from '../../../../worker/engine/index.ts';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { readOnnx } from '../../../../worker/engine/onnx/onnxFile.ts';
import { buildStored } from '../../../../worker/engine/onnx/ownGraph.ts';
import { importModel } from '../../../../worker/models/import/importModel.ts';
import { data } from '../../models/import/cases.ts';

let models: string;
let dir: string;
beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-graph-'));
  dir = join(models, 'sd15');
  await importModel(models, join(data, 'folders/sd15/model'), 'sd15');
});
afterAll(() => rm(models, { recursive: true, force: true }));

const open = (file: string): Promise<InferenceSession> =>
  InferenceSession.create(file, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
const float = (data: Float32Array, dims: number[]): Tensor => new Tensor('float32', data, dims);
const noise = createGenerator(7);

/** Rows of the tiny SD 1.5 network's inputs, one picture each. */
const rows = Array.from({ length: 3 }, (_, i) => ({
  sample: noise.randn(4 * 8 * 8),
  timestep: [981, 500, 20][i]!,
  hidden: noise.randn(77 * 32),
}));
const feedsOf = (picked: readonly (typeof rows)[number][]): Record<string, Tensor> => ({
  sample: float(Float32Array.from(picked.flatMap(({ sample }) => [...sample])), [picked.length, 4, 8, 8]),
  timestep: float(Float32Array.from(picked.map(({ timestep }) => timestep)), [picked.length]),
  encoder_hidden_states: float(Float32Array.from(picked.flatMap(({ hidden }) => [...hidden])), [
    picked.length,
    77,
    32,
  ]),
});
const predict = async (session: InferenceSession, feeds: Record<string, Tensor>): Promise<Float32Array> =>
  (await session.run(feeds))['out_sample']!.data as Float32Array;
const largest = (a: Float32Array, b: Float32Array): number =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe('the network', () => {
  it('gives a picture the same bits alone and among others', async () => {
    const session = await open(join(dir, 'unet/model.onnx'));
    const together = await predict(session, feedsOf(rows));
    for (const [i, row] of rows.entries()) {
      const alone = await predict(session, feedsOf([row]));
      expect(together.slice(i * alone.length, (i + 1) * alone.length)).toEqual(alone);
    }
    await session.release();
  });

  it('agrees with itself in plain ONNX', async () => {
    const file = join(dir, 'unet/plain.onnx');
    await writeFile(file, buildStored(join(dir, 'unet'), { flavour: 'plain' }).bytes);
    expect(readOnnx(file).nodes.map(({ op }) => op)).not.toContain('MultiHeadAttention');
    const [fused, plain] = [await open(join(dir, 'unet/model.onnx')), await open(file)];
    const feeds = feedsOf(rows);
    expect(largest(await predict(fused, feeds), await predict(plain, feeds))).toBeLessThan(5e-6);
  });

  it('takes a LoRA a picture, of any rank, and is untouched by none', async () => {
    const { bytes, modules } = buildStored(join(dir, 'unet'), { lora: () => true });
    const file = join(dir, 'unet/lora.onnx');
    await writeFile(file, bytes);
    const [plain, session] = [await open(join(dir, 'unet/model.onnx')), await open(file)];
    expect(modules.map(({ name }) => name)).toContain(
      'mid_block.attentions.0.transformer_blocks.0.attn1.to_q',
    );
    /** The factors of some pictures, each of a rank of its own; those of a convolution side by side. */
    const factors = (ranks: readonly number[], from = 0): Record<string, Tensor> => {
      const most = Math.max(...ranks);
      const feeds: Record<string, Tensor> = {};
      for (const module of modules) {
        const [out, into, ...kernel] = module.shape as [number, number, ...number[]];
        const names = loraInputs(module);
        const values = (seed: number, count: number): Float32Array =>
          createGenerator(seed)
            .randn(count)
            .map((v) => v / 8);
        if (module.kind === 'linear') {
          const down = new Float32Array(ranks.length * into * most);
          const up = new Float32Array(ranks.length * most * out);
          for (const [row, rank] of ranks.entries()) {
            const a = values(from + row, into * rank);
            const b = values(100 + from + row, rank * out);
            for (let i = 0; i < into; i++)
              for (let r = 0; r < rank; r++) down[(row * into + i) * most + r] = a[i * rank + r]!;
            up.set(b, row * most * out);
          }
          feeds[names.down] = float(down, [ranks.length, into, most]);
          feeds[names.up] = float(up, [ranks.length, most, out]);
        } else {
          // Two ranks a picture.
          const size = 2 * into * kernel[0]! * kernel[1]!;
          const all = 2 * ranks.length;
          const down = Float32Array.from(ranks.flatMap((_, row) => [...values(from + row, size)]));
          const up = new Float32Array(out * all);
          const own = new Float32Array(ranks.length * all);
          for (const [row, rank] of ranks.entries()) {
            const b = values(100 + from + row, 2 * out);
            for (const r of [0, 1]) {
              own[row * all + 2 * row + r] = 1;
              for (let o = 0; o < out; o++) up[o * all + 2 * row + r] = rank === 0 ? 0 : b[2 * o + r]!;
            }
          }
          feeds[names.down] = float(down, [all, into, ...kernel]);
          feeds[names.up] = float(up, [out, all, 1, 1]);
          feeds[names.rows] = float(own, [ranks.length, all, 1, 1]);
        }
      }
      return feeds;
    };
    const without = await predict(plain, feedsOf(rows));
    expect(await predict(session, { ...feedsOf(rows), ...factors([0, 0, 0]) })).toEqual(without);
    const ranks = [4, 16, 0];
    const together = await predict(session, { ...feedsOf(rows), ...factors(ranks) });
    expect(largest(together, without)).toBeGreaterThan(0.1);
    const size = together.length / 3;
    for (const [i, rank] of ranks.entries()) {
      const alone = await predict(session, { ...feedsOf([rows[i]!]), ...factors([rank], i) });
      expect(together.slice(i * size, (i + 1) * size)).toEqual(alone);
    }
  });
});

describe('the text encoder', () => {
  it("puts an embedding where a token's own would stand", async () => {
    const session = await open(join(dir, 'text_encoder/model.onnx'));
    const ids = new Tensor('int64', BigInt64Array.from(new Array(77).fill(5n)), [1, 77]);
    const run = async (places: readonly number[], vector: Float32Array): Promise<Float32Array> => {
      const n = places.length;
      const output = await session.run({
        input_ids: ids,
        embedding_places: new Tensor(
          'int64',
          BigInt64Array.from(places.flatMap((place) => [0n, BigInt(place)])),
          [n, 2],
        ),
        embedding_rows: float(vector, [n, 32]),
      });
      return output['last_hidden_state']!.data as Float32Array;
    };
    const own = await run([], new Float32Array(0));
    const changed = await run([4], noise.randn(32));
    // Causal: what stands before it does not see it.
    expect(changed.slice(0, 4 * 32)).toEqual(own.slice(0, 4 * 32));
    expect(largest(changed.slice(4 * 32), own.slice(4 * 32))).toBeGreaterThan(0.01);
    await session.release();
  });
});

describe('a graph of an older builder', () => {
  it('is written anew when its model is loaded', async () => {
    const file = join(dir, 'unet/model.onnx');
    const fresh = await readFile(file);
    const old = Buffer.from(fresh);
    old[old.lastIndexOf('dreamgrid.builder') + 'dreamgrid.builder'.length + 2] = '0'.charCodeAt(0);
    expect(old.equals(fresh)).toBe(false);
    await writeFile(file, old);
    expect(readOnnx(file).builder).toBe(0);
    const model = await loadModel(dir, { threads: 1 });
    expect(model.info.optimised).toBe(true);
    await model.release();
    expect((await readFile(file)).equals(fresh)).toBe(true);
  });
});

describe('what cannot be built', () => {
  const tiny = { block_out_channels: [32], down_block_types: ['DownBlock2D'], up_block_types: ['UpBlock2D'] };
  const refused = (build: () => unknown): EngineError => {
    try {
      build();
    } catch (error) {
      if (error instanceof EngineError) return error;
      throw error;
    }
    return expect.unreachable('it was built');
  };

  it.each([
    ['class_embed_type', () => readUNetConfig({ ...tiny, class_embed_type: 'projection' })],
    ['resnet_time_scale_shift', () => readUNetConfig({ ...tiny, resnet_time_scale_shift: 'scale_shift' })],
    ['down_block_types', () => readUNetConfig({ ...tiny, down_block_types: ['SimpleCrossAttnDownBlock2D'] })],
    ['hidden_act', () => readTextConfig({ hidden_act: 'relu' })],
    ['act_fn', () => readVaeConfig({ act_fn: 'relu' })],
  ])('is refused by its field: %s', (field, build) => {
    expect(refused(build)).toMatchObject({ code: 'unsupported' });
    expect(refused(build).message).toContain(field);
  });

  it('for a weight that is missing, by its name', () => {
    const error = refused(() => buildUNet(readUNetConfig(tiny), () => undefined));
    expect(error).toMatchObject({
      code: 'bad-model',
      message: 'the weight time_embedding.linear_1.weight is missing',
    });
  });
});
