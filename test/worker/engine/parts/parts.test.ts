import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, type Model, type Picture } from '../../../../worker/engine/index.ts';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { inTiles, type Planes, tileStarts } from '../../../../worker/engine/latents/tiles.ts';
import { openSession } from '../../../../worker/engine/onnx/session.ts';
import { resize } from '../../../../worker/engine/parts/resize.ts';
import { makeUpscaler } from '../../../../worker/engine/parts/upscaler.ts';
import {
  brightnessChecker,
  meanColourEncoder,
  nearestUpscaler,
  plainDecoder,
} from '../../../support/onnxBuilder.ts';
import { meanDifference, modelDir } from '../../../support/reference.ts';

const settings = { providers: ['cpu'], threads: 1 };

/** A picture of noise: every pixel tells where it came from. */
function noisy(width: number, height: number): Picture {
  return {
    width,
    height,
    data: createGenerator(1)
      .randn(3 * width * height)
      .map((v) => Math.min(Math.max(0.5 + v / 8, 0), 1)),
  };
}

function nearest({ width, height, data }: Picture, by: number): Picture {
  const result = new Float32Array(3 * width * by * height * by);
  for (let y = 0; y < height * by; y++) {
    for (let x = 0; x < width * by; x++) {
      const from = 3 * (Math.floor(y / by) * width + Math.floor(x / by));
      result.set(data.subarray(from, from + 3), 3 * (y * width * by + x));
    }
  }
  return { width: width * by, height: height * by, data: result };
}

describe('upscalers', () => {
  for (const [what, scale, side, factor] of [
    ['of any size, ×2', 2, undefined, 2],
    ['of any size, ×2 run twice', 2, undefined, 4],
    ['of any size, ×4', 4, undefined, 4],
    ['of one fixed size, ×4', 4, 64, 4],
    ['of one fixed size, ×4 for 2', 4, 64, 2],
  ] as const) {
    it(what, async () => {
      const session = await openSession('upscaler.onnx', settings, nearestUpscaler(scale, side));
      const upscaler = await makeUpscaler(session);
      expect(upscaler.scale).toBe(scale);
      for (const picture of [noisy(300, 80), noisy(20, 33)]) {
        const big = await upscaler.upscale(picture, factor);
        const expected = nearest(picture, factor);
        expect([big.width, big.height]).toEqual([expected.width, expected.height]);
        expect(meanDifference(big.data, expected.data)).toBeLessThan(1e-6);
      }
      await session.release();
    });
  }
});

describe('tiles', () => {
  it('cover everything, the last one flush with the end', () => {
    expect(tileStarts(64, 64, 16)).toEqual([0]);
    expect(tileStarts(65, 64, 16)).toEqual([0, 1]);
    expect(tileStarts(160, 64, 16)).toEqual([0, 48, 96]);
  });

  it('of a real decoder leave no seam that its own picture does not have', async () => {
    const file = path.join(modelDir('sd15'), 'vae_decoder/model.onnx');
    const session = await openSession(file, settings);
    const decode = async ({ data, height, width }: Planes): Promise<Planes> => {
      const output = (await session.run({ latent_sample: { data, dims: [1, 4, height, width] } })).get(
        'sample',
      )!;
      return { data: output.data, channels: 3, height: 8 * height, width: 8 * width };
    };
    const latents: Planes = {
      data: createGenerator(2).randn(4 * 40 * 40),
      channels: 4,
      height: 40,
      width: 40,
    };
    const whole = await decode(latents);
    const tiled = await inTiles(latents, 24, 8, 8, decode);
    /** Mean step between neighbours in one column of pixels, over that of all columns. */
    const step = (planes: Planes, x: number): number => {
      let total = 0;
      for (let row = 0; row < 3 * planes.height; row++)
        total += Math.abs(planes.data[row * 320 + x]! - planes.data[row * 320 + x - 1]!);
      return total;
    };
    const starts = tileStarts(40, 24, 8).map((start) => start * 8);
    const edges = [...starts.slice(1), ...starts.slice(0, -1).map((start) => start + 24 * 8)];
    for (const x of edges) expect(step(tiled, x) / step(whole, x)).toBeLessThan(1.2);
    await session.release();
  });
});

describe('parts that a model may carry', () => {
  let dir: string;
  let model: Model;
  beforeAll(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'dreamgrid-parts-'));
    await cp(modelDir('sd15'), dir, { recursive: true });
    for (const [part, bytes] of Object.entries({
      upscaler: nearestUpscaler(2),
      safety_checker: brightnessChecker(),
      image_encoder: meanColourEncoder(32),
      tiny_decoder: plainDecoder(),
    })) {
      await mkdir(path.join(dir, part));
      await writeFile(path.join(dir, part, 'model.onnx'), bytes);
    }
    await writeFile(path.join(dir, 'tiny_decoder/config.json'), '{"output_range": [0, 1]}');
    const plain = { size: 32, mean: [0, 0, 0], std: [1, 1, 1] };
    model = await loadModel(dir, {
      threads: 1,
      imageEncoder: { path: 'image_encoder/model.onnx', ...plain },
    });
  });
  afterAll(async () => {
    await model.release();
    await rm(dir, { recursive: true, force: true });
  });

  it('are told of', () => {
    expect(model.info).toMatchObject({
      upscaler: true,
      safetyChecker: true,
      imageEncoder: true,
      tinyDecoder: true,
    });
  });

  it('an upscaler', async () => {
    expect(await model.upscale(noisy(30, 20), 4)).toMatchObject({ width: 120, height: 80 });
  });

  it('an image encoder', async () => {
    const data = Float32Array.from({ length: 3 * 50 * 40 }, (_, i) => [0.1, 0.5, 0.9][i % 3]!);
    const vector = await model.encodeImage!({ width: 50, height: 40, data });
    expect(meanDifference(vector, [0.1, 0.5, 0.9])).toBeLessThan(1e-5);
  });

  it('a safety checker that is asked about every picture, and a tiny decoder for previews and drafts', async () => {
    const previews: Picture[] = [];
    const request = { prompt: 'a castle', seeds: [1, 2], width: 64, height: 64, steps: 2, guidance: 1 };
    const full = await model.generate(request, {
      onStep: async ({ decodePreview }) => void previews.push(...(await decodePreview!())),
    });
    expect(previews[0]).toMatchObject({ width: 64, height: 64 });
    const bright = ({ data }: Picture): boolean => data.reduce((a, b) => a + b, 0) / data.length > 0.5;
    expect(full.flagged).toEqual(full.pictures.map(bright));
    const draft = await model.generate({ ...request, decoder: 'tiny' });
    const sigmoid = draft.latents[0]!.subarray(0, 1).map((v) => 1 / (1 + Math.exp(-v)));
    expect(Math.abs(draft.pictures[0]!.data[0]! - sigmoid[0]!)).toBeLessThan(1e-5);
  });
});

it('shrinks pictures without moving their colours', () => {
  const { data } = resize({ width: 90, height: 60, data: new Float32Array(3 * 90 * 60).fill(0.25) }, 31, 17);
  expect(data.every((value) => Math.abs(value - 0.25) < 1e-6)).toBe(true);
});
