import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { halfFloatsOf } from '../../../../worker/models/import/float8.ts';
import { importModel } from '../../../../worker/models/import/importModel.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { casesOf, data, paint, safetensors } from './cases.ts';

/** What a type stores of a number, and the number that it then is. */
type Codec = (value: number) => { readonly bytes: Uint8Array; readonly value: number };

const single = new DataView(new ArrayBuffer(8));
const halfToNumber = (half: number): number => {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
};

/** The nearest of the finite numbers that a byte can be. */
function float8(dtype: 'F8_E4M3' | 'F8_E5M2'): Codec {
  const numbers = [...halfFloatsOf(dtype)]
    .map((half, byte) => ({ byte, half, value: halfToNumber(half) }))
    .filter(({ half }) => (half & 0x7c00) !== 0x7c00)
    .sort((a, b) => a.value - b.value);
  return (value) => {
    let low = 0;
    let high = numbers.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (numbers[middle]!.value <= value) low = middle;
      else high = middle;
    }
    const [a, b] = [numbers[low]!, numbers[high]!];
    const near = Math.abs(a.value - value) <= Math.abs(b.value - value) ? a : b;
    return { bytes: Uint8Array.of(near.byte), value: near.value };
  };
}

const codecs: Readonly<Record<string, Codec>> = {
  F8_E4M3: float8('F8_E4M3'),
  F8_E5M2: float8('F8_E5M2'),
  BF16: (value) => {
    single.setFloat32(0, value, true);
    const high = single.getUint16(2, true);
    single.setUint32(0, high << 16, true);
    return { bytes: Uint8Array.of(high & 255, high >> 8), value: single.getFloat32(0, true) };
  },
  F64: (value) => {
    single.setFloat64(0, value, true);
    return { bytes: new Uint8Array(single.buffer.slice(0)), value };
  },
};

let work: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'dreamgrid-dtypes-'));
});
afterAll(() => rm(work, { recursive: true, force: true }));

type Stored = Parameters<typeof safetensors>[0][string];

/** A folder whose weights are stored in a type, and one with the same numbers in float32. */
async function stored(dtype: string): Promise<[as: string, whole: string]> {
  const folders = [join(work, dtype), join(work, `${dtype}-whole`)] as [string, string];
  for (const folder of folders) await cp(join(data, 'folders/sd15/model'), folder, { recursive: true });
  for (const part of ['unet', 'vae', 'text_encoder']) {
    const name = (await readdir(join(folders[0], part))).find((file) => file.endsWith('.safetensors'))!;
    const { tensors } = await readSafetensors(join(folders[0], part, name));
    const bytes = await readFile(join(folders[0], part, name));
    const [packed, whole]: Record<string, Stored>[] = [{}, {}];
    for (const [key, { shape, offset, length, dtype: own }] of tensors) {
      if (own !== 'F32') continue;
      const numbers = Array.from({ length: length / 4 }, (_, i) =>
        codecs[dtype]!(bytes.readFloatLE(offset + 4 * i)),
      );
      const values = Float32Array.from(numbers, ({ value }) => value);
      packed![key] = { dtype, shape, bytes: Buffer.concat(numbers.map((each) => each.bytes)) };
      whole![key] = { dtype: 'F32', shape, bytes: new Uint8Array(values.buffer) };
    }
    await writeFile(join(folders[0], part, name), safetensors(packed!));
    await writeFile(join(folders[1], part, name), safetensors(whole!));
  }
  return folders;
}

describe('weights that are stored in', () => {
  it.each(Object.keys(codecs))('%s paint exactly what the same numbers in float32 paint', async (dtype) => {
    const models = join(work, `models-${dtype}`);
    const [as, whole] = await stored(dtype);
    await importModel(models, as, 'as');
    await importModel(models, whole, 'whole');
    const each = { ...casesOf('folders/sd15')[0]!, steps: 2 };
    const pictures = await paint(join(models, 'as'), 'folders/sd15', each);
    expect(pictures.pictures).toEqual((await paint(join(models, 'whole'), 'folders/sd15', each)).pictures);
    const alone = await paint(join(models, 'as'), 'folders/sd15', each, false);
    expect(alone.pictures).toEqual(pictures.pictures);
  });

  it('integers are refused by the weight', async () => {
    const folder = join(work, 'quantised');
    await cp(join(data, 'folders/sd15/model'), folder, { recursive: true });
    const file = join(folder, 'unet/diffusion_pytorch_model.safetensors');
    const bytes = await readFile(file);
    const length = Number(bytes.readBigUInt64LE());
    const header = bytes
      .subarray(8, 8 + length)
      .toString()
      .replaceAll('"F32"', '"I32"');
    await writeFile(
      file,
      Buffer.concat([bytes.subarray(0, 8), Buffer.from(header), bytes.subarray(8 + length)]),
    );
    await expect(importModel(join(work, 'models'), folder, 'quantised')).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('time_embedding.linear_1.weight is stored as I32'),
    });
  });
});
