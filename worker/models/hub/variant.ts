/** Which of a part's weights to take: as published, or in half precision. */
export type Variant = 'full' | 'fp16';

/**
 * One file or an index of shards among a part's files: `model.safetensors`, `diffusion_pytorch_model.fp16.safetensors`,
 * `….safetensors.index.json`, `….safetensors.index.fp16.json`. EMA weights are for training on.
 */
export function chooseWeights(names: readonly string[], variant: Variant): string | undefined {
  const of = (pattern: string): string | undefined => {
    const whole = new RegExp(`^(?:diffusion_pytorch_model|model)${pattern}$`);
    return names.find((name) => whole.test(name));
  };
  const full = of('\\.safetensors') ?? of('\\.safetensors\\.index\\.json');
  const half =
    of('\\.fp16\\.safetensors') ??
    of('\\.safetensors\\.index\\.fp16\\.json') ??
    of('\\.fp16\\.safetensors\\.index\\.json');
  const other = of('\\.(?:bf16|fp32)\\.safetensors');
  return variant === 'fp16' ? (half ?? full ?? other) : (full ?? other ?? half);
}
