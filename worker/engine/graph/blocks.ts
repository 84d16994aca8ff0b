/** The two blocks that diffusion networks repeat: convolutions with a residual, and attention over pixels. */
import type { Layers } from './layers.ts';

/**
 * ResnetBlock2D. [N, in, H, W] → [N, out, H, W].
 * @param time the timestep's part, added to every pixel, [N, out]; the autoencoder's blocks have none
 */
export function resnet(
  layers: Layers,
  name: string,
  x: string,
  { groups, eps }: { readonly groups: number; readonly eps: number },
  time?: (projection: string) => string,
): string {
  const { graph } = layers;
  let h = layers.silu(layers.groupNorm(`${name}.norm1`, x, groups, eps));
  h = layers.conv(`${name}.conv1`, h);
  if (time) {
    const added = graph.op('Unsqueeze', [time(`${name}.time_emb_proj`), graph.ints([2, 3])]);
    h = graph.op('Add', [h, added]);
  }
  h = layers.silu(layers.groupNorm(`${name}.norm2`, h, groups, eps));
  h = layers.conv(`${name}.conv2`, h);
  const shortcut = layers.has(`${name}.conv_shortcut.weight`) ? layers.conv(`${name}.conv_shortcut`, x) : x;
  return graph.op('Add', [shortcut, h], { name });
}

export interface TransformerSettings {
  readonly width: number;
  readonly heads: number;
  /** Number of transformer blocks in a row. */
  readonly depth: number;
  readonly groups: number;
  /** Keys and values of the text for the named attention: rows [batch·tokens, width] each. */
  readonly text: (attention: string, width: number) => readonly [keys: string, values: string];
  /** Called before the first use of the text with the values still in use; returns their replacements. */
  readonly beforeText?:
    | ((rows: readonly string[], width: number, pixels: string) => readonly [rows: string[], pixels: string])
    | undefined;
}

/**
 * Transformer2DModel: self-attention, attention to the text, and a gated feed-forward, `depth` times. Pixels are rows
 * from `proj_in` to `proj_out`, so that every layer between is one matrix product with its bias.
 */
export function transformer(layers: Layers, name: string, x: string, settings: TransformerSettings): string {
  const { graph } = layers;
  const { width, heads, depth, groups, text, beforeText } = settings;
  const normed = layers.groupNorm(`${name}.norm`, x, groups, 1e-6);
  let h = layers.linear(`${name}.proj_in`, layers.pixelsToRows(normed, width));
  const block = (i: number): string => `${name}.transformer_blocks.${i}`;
  let normal = layers.layerNorm(`${block(0)}.norm1`, h);
  let residual = x;
  for (let i = 0; i < depth; i++) {
    const attend = (which: string, others: TransformerSettings['text']): string => {
      const name = `${block(i)}.${which}`;
      const query = layers.linear(`${name}.to_q`, normal);
      const mixed = layers.attention(name, query, ...others(name, width), width, heads);
      return layers.linear(`${name}.to_out.0`, mixed);
    };
    const own = attend('attn1', (name) => [
      layers.linear(`${name}.to_k`, normal),
      layers.linear(`${name}.to_v`, normal),
    ]);
    [h, normal] = layers.addNorm(`${block(i)}.norm2`, own, h);
    if (i === 0 && beforeText) {
      const [rows, pixels] = beforeText([h, normal], width, x);
      [h, normal] = rows as [string, string];
      residual = pixels;
    }
    [h, normal] = layers.addNorm(`${block(i)}.norm3`, attend('attn2', text), h);
    const fed = feedForward(layers, `${block(i)}.ff`, normal);
    if (i + 1 < depth) [h, normal] = layers.addNorm(`${block(i + 1)}.norm1`, fed, h);
    else h = graph.op('Add', [fed, h]);
  }
  const back = layers.rowsToPixels(layers.linear(`${name}.proj_out`, h), width, residual);
  return graph.op('Add', [back, residual], { name });
}

/** GEGLU: one half of a wider layer is multiplied by the GELU of the other. */
function feedForward(layers: Layers, name: string, x: string): string {
  const { graph } = layers;
  const wide = layers.linear(`${name}.net.0.proj`, x);
  const attributes = { axis: -1, num_outputs: 2 };
  const [value, gate] = graph.split('Split', [wide], 2, { name: `${name}.net.0.halves`, attributes });
  return layers.linear(`${name}.net.2`, graph.op('Mul', [value!, layers.gelu(gate!)]));
}
