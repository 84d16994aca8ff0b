/**
 * The random numbers of `torch.Generator('cpu').manual_seed(seed)`, so that a seed paints here what it paints
 * in diffusers, ComfyUI (CPU noise) and everything else built on PyTorch.
 *
 * MT19937: Matsumoto & Nishimura, "Mersenne Twister" (1998). Normals: Box-Muller, in the two layouts PyTorch
 * uses (ATen/native/cpu/DistributionTemplates.h: blocks of 16 in float32 from 16 values on, below that pairs
 * in float64 of which the second is kept for the next call).
 */
export interface Generator {
  /** `count` independent normal numbers, as `torch.randn` of that many elements draws them. */
  randn(count: number): Float32Array;
}

const N = 624;
const M = 397;

/** Uses the low 32 bits of the seed only, as PyTorch's CPU generator. */
export function createGenerator(seed: number): Generator {
  const state = new Uint32Array(N);
  state[0] = Number(BigInt.asUintN(32, BigInt(Math.trunc(seed))));
  for (let i = 1; i < N; i++) {
    const previous = state[i - 1]! ^ (state[i - 1]! >>> 30);
    state[i] = Math.imul(1812433253, previous) + i;
  }
  let index = N;
  let spareNormal: number | undefined;

  function twist(): void {
    for (let i = 0; i < N; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % N]! & 0x7fffffff);
      state[i] = state[(i + M) % N]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    index = 0;
  }

  function next32(): number {
    if (index >= N) twist();
    let y = state[index++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  /** 24 bits: every float32 in [0, 1) that PyTorch's uniform can give. */
  const uniform24 = (): number => (next32() & 0xffffff) * 2 ** -24;

  /** 53 bits, high word first. */
  function uniform53(): number {
    const high = next32();
    const low = next32();
    return ((high & 0x1fffff) * 2 ** 32 + low) * 2 ** -53;
  }

  function normal64(): number {
    if (spareNormal !== undefined) {
      const value = spareNormal;
      spareNormal = undefined;
      return value;
    }
    const angle = 2 * Math.PI * uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-uniform53()));
    spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  function transformBlock(data: Float32Array, start: number): void {
    for (let j = start; j < start + 8; j++) {
      const radius = Math.fround(
        Math.sqrt(Math.fround(-2 * Math.fround(Math.log(Math.fround(1 - data[j]!))))),
      );
      const angle = Math.fround(Math.fround(2 * Math.PI) * data[j + 8]!);
      data[j] = radius * Math.fround(Math.cos(angle));
      data[j + 8] = radius * Math.fround(Math.sin(angle));
    }
  }

  return {
    randn(count) {
      const data = new Float32Array(count);
      if (count < 16) {
        for (let i = 0; i < count; i++) data[i] = normal64();
        return data;
      }
      for (let i = 0; i < count; i++) data[i] = uniform24();
      for (let start = 0; start + 16 <= count; start += 16) transformBlock(data, start);
      if (count % 16 !== 0) {
        // PyTorch redraws the last sixteen values, over numbers it has already transformed.
        for (let i = count - 16; i < count; i++) data[i] = uniform24();
        transformBlock(data, count - 16);
      }
      return data;
    },
  };
}
