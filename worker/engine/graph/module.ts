/** A layer with a weight of its own, as LoRA files speak of it. */
export interface Module {
  /** diffusers' (or transformers') name: `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q`. */
  readonly name: string;
  readonly kind: 'linear' | 'convolution';
  /** [out, in] or [out, in, height, width]; a 1×1 convolution that is computed as a linear layer counts as one. */
  readonly shape: readonly number[];
}
