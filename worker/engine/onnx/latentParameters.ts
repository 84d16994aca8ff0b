/**
 * Older exports of the VAE encoder output a sample whose noise cannot be seeded, or the mean alone. Mean and variance
 * are still computed inside: this finds the convolution that computes them, to make it an output.
 */
import type { OnnxFile } from './onnxFile.ts';

/** Name of the tensor with mean and log variance (2 × channels), where it is not an output already. */
export function findLatentParameters(onnx: OnnxFile, output: string, channels: number): string | undefined {
  const producers = new Map(onnx.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const seen = new Set<string>();
  const found = new Set<string>();
  const open = [output];
  while (open.length > 0) {
    const name = open.pop()!;
    const node = producers.get(name);
    if (node === undefined || seen.has(name)) continue;
    seen.add(name);
    if (node.op === 'Conv') {
      const weight = onnx.weights.get(node.inputs[1] ?? '');
      if (name !== output && weight?.[0] === 2 * channels) found.add(name);
    } else open.push(...node.inputs);
  }
  return found.size === 1 ? [...found][0] : undefined;
}
