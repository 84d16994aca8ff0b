import {
  type Graph,
  modelBehind,
  type Node,
  textBehind,
  toGraph,
  valueBehind,
  Walk,
  wireOf,
} from './comfyGraph.ts';
import { graphOfWorkflow, looseTexts } from './comfyWorkflow.ts';
import {
  clean,
  type Evidence,
  type Foreign,
  isObject,
  type JsonObject,
  numberFrom,
  sizeFrom,
  toForeign,
} from './foreign.ts';
import { samplerNamed } from './sampler.ts';

/**
 * ComfyUI: `prompt` is the graph that was run, `workflow` the drawing of it; in PNG chunks, in WebP's EXIF, or
 * both in one JSON. The picture's settings are found from the sampler that began it, back along its wires.
 */
export function readComfyUi({ objects }: Evidence): Foreign | undefined {
  const at = (key: string): unknown => {
    for (const { at, value } of objects) {
      if (at.toLowerCase() === key) return value;
      if (at !== 'prompt' && at !== 'workflow' && isObject(value[key])) return value[key];
    }
    return undefined;
  };
  const run = toGraph(at('prompt')) ?? objects.map(({ value }) => toGraph(value)).find(Boolean);
  return (run && readGraph(run)) ?? readDrawing(at('workflow')) ?? readDrawing(at('prompt'));
}

const readDrawing = (workflow: unknown): Foreign | undefined => {
  const graph = graphOfWorkflow(workflow);
  const found = graph && readGraph(graph);
  if (!graph || !found || [...graph.values()].some(({ inputs }) => Object.values(inputs).some(wireOf)))
    return found;
  const { positive, negative } = looseTexts(workflow);
  return { ...found, prompt: clean(positive), negative: clean(negative) };
};

/** @returns undefined for a graph that samples nothing */
export function readGraph(graph: Graph): Foreign | undefined {
  const sampler = samplerOf(graph);
  if (!sampler) return undefined;
  const { inputs } = sampler;
  const guider = new Walk(graph).search(inputs['guider'], (node) =>
    ['positive', 'conditioning', 'cond1'].some((name) => wireOf(node.inputs[name])) ? node.inputs : undefined,
  );
  const source = (name: string): unknown => inputs[name] ?? guider?.[name];
  const pipe = inputs['pipe'] ?? inputs['basic_pipe'] ?? inputs['sdxl_tuple'];
  const positive = source('positive') ?? source('conditioning') ?? guider?.['cond1'] ?? pipe;
  const negative = source('negative') ?? inputs['neg_conditioning'] ?? (guider ? undefined : pipe);
  const value = (name: string, from: unknown): unknown => valueBehind(graph, from, name);
  const schedule = value('scheduler', inputs['scheduler']) ?? scheduleBehind(graph, inputs['sigmas']);
  const { model, loras } = modelBehind(graph, source('model') ?? pipe);
  return toForeign({
    tool: 'ComfyUI',
    prompt: textBehind(graph, positive, 'positive'),
    negative: textBehind(graph, negative, 'negative'),
    seed:
      value('seed', inputs['seed']) ??
      value('noise_seed', inputs['noise_seed']) ??
      first(graph, inputs['noise'], ['noise_seed', 'seed']),
    steps: value('steps', inputs['steps']) ?? first(graph, inputs['sigmas'], ['steps']),
    guidance:
      value('cfg', source('cfg')) ??
      value('cfg', guider?.['cfg_conds']) ??
      (guider ? first(graph, positive, ['guidance']) : undefined),
    ...sizeBehind(graph, inputs['latent_image'] ?? inputs['latent'] ?? pipe),
    sampler: samplerNamed(
      value('sampler_name', inputs['sampler_name']) ?? first(graph, inputs['sampler'], ['sampler_name']),
      schedule,
    ),
    scheduler: schedule,
    model: model ?? onlyModel(graph),
    loras,
  });
}

const nodeAt = (graph: Graph, value: unknown): Node | undefined => graph.get(wireOf(value)?.id ?? '');

/** The value of the first of these inputs found up a wire. */
const first = (graph: Graph, wire: unknown, names: readonly string[]): unknown =>
  new Walk(graph).search(wire, ({ inputs }) => {
    const name = names.find((key) => key in inputs);
    return name === undefined ? undefined : valueBehind(graph, inputs[name], name);
  });

/** The schedule: BasicScheduler's input, or by a node's type, such as KarrasScheduler. */
const scheduleBehind = (graph: Graph, wire: unknown): unknown =>
  new Walk(graph).search(wire, ({ class_type, inputs }) => {
    if (typeof inputs['scheduler'] === 'string') return inputs['scheduler'];
    return /^(Karras|Exponential|Polyexponential|VP|Laplace)Scheduler$/.exec(class_type)?.[1]?.toLowerCase();
  });

/** Whether a node is a sampler: by its wired inputs, or by its settings where it takes a pipe. */
const isSampler = ({ class_type, inputs }: Node): boolean =>
  (wireOf(inputs['positive'] ?? inputs['conditioning']) && wireOf(inputs['latent_image'])) !== undefined ||
  wireOf(inputs['guider']) !== undefined ||
  ('steps' in inputs && 'sampler_name' in inputs && !/save/i.test(class_type));

/**
 * The sampler that began the picture. Of several (a refiner, a second pass, a detailer) it is the one whose latent
 * comes from no other sampler and that adds the noise; of several of those, one that leads to a saved picture.
 */
function samplerOf(graph: Graph): Node | undefined {
  const used = reachable(graph);
  const ranked = [...graph]
    .filter(([, node]) => isSampler(node))
    .map(([id, node]) => ({ node, rank: rankOf(graph, node) + (used.size === 0 || used.has(id) ? 0 : 16) }));
  if (ranked.length === 0) {
    // In a graph of unknown nodes, a node with both conditionings counts as the sampler.
    return [...graph.values()].find(({ inputs }) => wireOf(inputs['positive']) && wireOf(inputs['negative']));
  }
  const least = Math.min(...ranked.map(({ rank }) => rank));
  return ranked.find(({ rank }) => rank === least)?.node;
}

/** Rank of a sampler, lowest first; 0 starts from an empty latent, with noise. */
function rankOf(graph: Graph, { class_type, inputs }: Node): number {
  const latent = inputs['latent_image'] ?? inputs['latent'] ?? inputs['pipe'] ?? inputs['samples'];
  const walk = new Walk(graph);
  const source = walk.search(latent, (node) =>
    isSampler(node) ? 'sampler' : /empty.*latent|latent.*empty/i.test(node.class_type) ? 'empty' : undefined,
  );
  const noise = nodeAt(graph, inputs['noise']);
  const silent =
    inputs['add_noise'] === 'disable' ||
    inputs['add_noise'] === false ||
    noise?.class_type === 'DisableNoise';
  const later = numberFrom(inputs['start_at_step']) ?? 0;
  return (
    (silent ? 8 : 0) +
    (source === 'sampler' ? 4 : source === 'empty' ? 0 : 1) +
    (later > 0 ? 2 : 0) +
    (/detailer|upscale/i.test(class_type) ? 8 : 0)
  );
}

/** Ids of the nodes that lead to a node that saves or shows a picture. */
function reachable(graph: Graph): ReadonlySet<string> {
  const found = new Set<string>();
  const open = [...graph]
    .filter(([, { class_type }]) => /^(?:save|preview)|imagesave|saveimage|image ?saver/i.test(class_type))
    .map(([id]) => id);
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    for (const input of Object.values(graph.get(id)?.inputs ?? {})) {
      const wire = wireOf(input);
      if (wire) open.push(wire.id);
    }
  }
  return found;
}

/** Size of the latent that the sampler starts from. Sizes may be linked, or one text (`1024x1024 (1.0)`). */
function sizeBehind(graph: Graph, wire: unknown): { width?: unknown; height?: unknown } {
  const found = new Walk(graph).search(wire, ({ inputs }) => {
    for (const [w, h] of [
      ['width', 'height'],
      ['empty_latent_width', 'empty_latent_height'],
    ] as const) {
      if (!(w in inputs) || !(h in inputs)) continue;
      const size = {
        width: lengthBehind(graph, inputs[w], 'width'),
        height: lengthBehind(graph, inputs[h], 'height'),
      };
      if (size.width !== undefined || size.height !== undefined) return size;
    }
    return textSize(inputs);
  });
  return found ?? onlySize(graph) ?? {};
}

/** The size of the graph's only empty latent, for a wire that leads nowhere. */
const onlySize = (graph: Graph) => {
  const empty = [...graph.values()].filter(({ class_type }) => /empty.*latent/i.test(class_type));
  const [only] = empty;
  return empty.length === 1 && only
    ? { width: only.inputs['width'], height: only.inputs['height'] }
    : undefined;
};

/** The graph's only model, for a wire that leads nowhere. */
const onlyModel = (graph: Graph): unknown => {
  const names = [...graph.values()].flatMap(({ inputs }) => inputs['ckpt_name'] ?? []);
  return names.length === 1 ? names[0] : undefined;
};

const textSize = (inputs: JsonObject) => {
  const text =
    inputs['resolution'] ?? inputs['dimensions'] ?? inputs['aspect_ratio'] ?? inputs['ratio_selected'];
  const size = sizeFrom(text);
  return size.width === undefined ? undefined : size;
};

/** A linked side: a constant, or the side of that name of a node that gives both. */
const lengthBehind = (graph: Graph, value: unknown, side: 'width' | 'height'): unknown => {
  const node = nodeAt(graph, value);
  const size = node && textSize(node.inputs);
  return size ? size[side] : valueBehind(graph, value, side);
};
