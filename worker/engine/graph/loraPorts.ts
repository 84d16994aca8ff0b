/**
 * Inputs through which a LoRA acts without touching a weight: y = W·x + up·down·x (Hu et al., 2021, section 4.1), where
 * every picture of a batch has factors of its own. A picture without a LoRA has zeros, or rank 0 where no picture of
 * the batch has one; the caller multiplies scale and alpha into `up`. Adding zeros to a rank changes no bit of the
 * result, so pictures with LoRAs of different rank share a batch.
 *
 * Linear module m: `lora.<m>.down` [batch, in, rank] and `lora.<m>.up` [batch, rank, out].
 * Convolution m:   `lora.<m>.down` [rank, in, height, width], `lora.<m>.up` [out, rank, 1, 1] and
 *                  `lora.<m>.rows` [batch, rank, 1, 1]: the ranks of all pictures' factors side by side, 1 where the
 *                  rank belongs to the picture. No LoRA is two ranks of zeros: the kernel for a single rank
 *                  rounds otherwise than the one for several.
 * `rank` is free, and may differ between modules.
 */
import type { Attribute, Graph } from './graph.ts';
import type { Module } from './module.ts';
import type { ElementType } from './weightLocations.ts';

/** The inputs that a module's LoRA is fed through. */
export const loraInputs = ({
  name,
  kind,
}: Pick<Module, 'name' | 'kind'>): Record<'down' | 'up' | 'rows', string> => ({
  down: `lora.${name}.down`,
  up: `lora.${name}.up`,
  rows: kind === 'convolution' ? `lora.${name}.rows` : '',
});

/**
 * @param x rows [batch·N, in], the rows of a picture one after the other; `y` the module's own output
 * @param batch int64[1] with the number of pictures, and the dimension's name in the ports
 */
export function loraOnLinear(
  graph: Graph,
  module: Module,
  x: string,
  y: string,
  [batch, dimension]: readonly [string, string],
): string {
  const [out, into] = module.shape as [number, number];
  const names = loraInputs(module);
  const rank = `rank.${module.name}`;
  const down = graph.input(names.down, 'float32', [dimension, into, rank]);
  const up = graph.input(names.up, 'float32', [dimension, rank, out]);
  const shape = graph.op('Concat', [batch, graph.ints([-1, into])], { attributes: { axis: 0 } });
  const rows = graph.op('Reshape', [x, shape]);
  const low = graph.op('MatMul', [rows, down], { name: `${module.name}.lora.down` });
  const delta = graph.op('MatMul', [low, up], { name: `${module.name}.lora.up` });
  return graph.op('Add', [y, graph.op('Reshape', [delta, graph.ints([-1, out])])], {
    name: `${module.name}.lora`,
  });
}

/** @param attributes the module's own; the first factor has the same stride and padding */
export function loraOnConvolution(
  graph: Graph,
  module: Module,
  x: string,
  y: string,
  attributes: Readonly<Record<string, Attribute>>,
  {
    name = `${module.name}.lora`,
    type = 'float32',
    batch = 'batch_size',
  }: { name?: string; type?: ElementType; batch?: string } = {},
): string {
  const [out, into, height, width] = module.shape as [number, number, number, number];
  const names = loraInputs(module);
  const rank = `rank.${module.name}`;
  const down = graph.input(names.down, type, [rank, into, height, width]);
  const up = graph.input(names.up, type, [out, rank, 1, 1]);
  const rows = graph.input(names.rows, type, [batch, rank, 1, 1]);
  const low = graph.op('Conv', [x, down], { name: `${module.name}.lora.down`, attributes });
  const own = graph.op('Mul', [low, rows], { name: `${module.name}.lora.rows` });
  const pointwise = {
    kernel_shape: [1, 1],
    pads: [0, 0, 0, 0],
    strides: [1, 1],
    dilations: [1, 1],
    group: 1,
  };
  const delta = graph.op('Conv', [own, up], { name: `${module.name}.lora.up`, attributes: pointwise });
  return graph.op('Add', [y, delta], { name });
}

/**
 * A linear layer's LoRA in an export's graph, where a picture's rows have any shape whose first dimension is the batch.
 * @param name of the resulting value
 */
export function loraOnForeignLinear(
  graph: Graph,
  module: Module,
  x: string,
  y: string,
  { name, type }: { name: string; type: ElementType },
): string {
  const [out, into] = module.shape as [number, number];
  const names = loraInputs(module);
  const rank = `rank.${module.name}`;
  const own = (step: string): { name: string } => ({ name: `${module.name}.lora.${step}` });
  const down = graph.input(names.down, type, ['batch_size', into, rank]);
  const up = graph.input(names.up, type, ['batch_size', rank, out]);
  const batch = graph.op('Gather', [graph.op('Shape', [down], own('sides')), graph.ints([0])], own('batch'));
  const shape = graph.op('Concat', [batch, graph.ints([-1, into])], {
    ...own('shape'),
    attributes: { axis: 0 },
  });
  const rows = graph.op('Reshape', [x, shape], own('rows'));
  const low = graph.op('MatMul', [rows, down], own('down'));
  const delta = graph.op('MatMul', [low, up], own('up'));
  const fitted = graph.op('Reshape', [delta, graph.op('Shape', [y], own('whole'))], own('delta'));
  return graph.op('Add', [y, fitted], { name });
}
