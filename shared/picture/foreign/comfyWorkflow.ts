import { type Graph, MAX_NODES, type Node } from './comfyGraph.ts';
import { isObject, type JsonObject } from './foreign.ts';

/**
 * ComfyUI's drawing of a graph (`workflow`) as the graph that it would run: links say which output feeds
 * which input; widget values are a list, matched by position for known nodes. Newer files name the widgets
 * themselves.
 */
/** Name here of the widget "control after generate", which is no input. */
const CONTROL = '(control)';
const WIDGETS: Readonly<Record<string, readonly string[]>> = {
  KSampler: ['seed', CONTROL, 'steps', 'cfg', 'sampler_name', 'scheduler', 'denoise'],
  'KSampler (Efficient)': ['seed', CONTROL, 'steps', 'cfg', 'sampler_name', 'scheduler', 'denoise'],
  KSamplerAdvanced: [
    'add_noise',
    'noise_seed',
    CONTROL,
    'steps',
    'cfg',
    'sampler_name',
    'scheduler',
    'start_at_step',
    'end_at_step',
    'return_with_leftover_noise',
  ],
  SamplerCustom: ['add_noise', 'noise_seed', CONTROL, 'cfg'],
  RandomNoise: ['noise_seed', CONTROL],
  KSamplerSelect: ['sampler_name'],
  BasicScheduler: ['scheduler', 'steps', 'denoise'],
  KarrasScheduler: ['steps'],
  ExponentialScheduler: ['steps'],
  CFGGuider: ['cfg'],
  FluxGuidance: ['guidance'],
  CLIPTextEncode: ['text'],
  CLIPTextEncodeFlux: ['clip_l', 't5xxl', 'guidance'],
  CLIPTextEncodeSD3: ['clip_l', 'clip_g', 't5xxl', 'empty_padding'],
  CLIPTextEncodeSDXL: ['', '', '', '', '', '', 'text_g', 'text_l'],
  CLIPTextEncodeSDXLRefiner: ['', '', '', 'text'],
  EmptyLatentImage: ['width', 'height', 'batch_size'],
  EmptySD3LatentImage: ['width', 'height', 'batch_size'],
  CheckpointLoaderSimple: ['ckpt_name'],
  UNETLoader: ['unet_name', 'weight_dtype'],
  LoraLoader: ['lora_name', 'strength_model', 'strength_clip'],
  LoraLoaderModelOnly: ['lora_name', 'strength_model'],
  PrimitiveNode: ['value', CONTROL],
  PrimitiveInt: ['value', CONTROL],
  PrimitiveFloat: ['value'],
  PrimitiveString: ['value'],
  PrimitiveStringMultiline: ['value'],
  StringConcatenate: ['string_a', 'string_b', 'delimiter'],
  ImpactWildcardProcessor: ['wildcard_text', 'populated_text', 'mode', 'seed'],
  'Efficient Loader': [
    'ckpt_name',
    'vae_name',
    'clip_skip',
    'lora_name',
    'lora_model_strength',
    'lora_clip_strength',
    'positive',
    'negative',
    'token_normalization',
    'weight_interpretation',
    'empty_latent_width',
    'empty_latent_height',
    'batch_size',
  ],
};
const CONTROLS: readonly unknown[] = ['fixed', 'increment', 'decrement', 'randomize', 'increment-wrap'];
const MUTED = 2;
const BYPASSED = 4;

interface Drawn {
  readonly id: string;
  readonly type: string;
  readonly title: string;
  readonly mode: number;
  readonly inputs: readonly { name: string; link?: number; type?: unknown; widget?: string }[];
  readonly outputs: readonly unknown[];
  readonly values: unknown;
}

/** The graph of a drawing. @returns undefined where the value is no drawing */
export function graphOfWorkflow(workflow: unknown): Graph | undefined {
  if (!isObject(workflow) || !Array.isArray(workflow['nodes'])) return undefined;
  if (workflow['nodes'].length > MAX_NODES) return undefined;
  const drawn = workflow['nodes'].flatMap(toDrawn);
  if (drawn.length === 0) return undefined;
  const byId = new Map(drawn.map((node) => [node.id, node]));
  const links = linksOf(workflow['links']);
  const named = namedSources(drawn, links);
  const source = (link: number | undefined): [string, number] | undefined => {
    let at = link === undefined ? undefined : links.get(link);
    for (let steps = 0; at && steps < 100; steps++) {
      const node = byId.get(at[0]);
      const through = node && (node.mode === BYPASSED ? bypass(node, at[1]) : named.get(node.id));
      if (through === undefined) return node && node.mode !== MUTED ? at : undefined;
      at = links.get(through);
    }
    return undefined;
  };
  const nodes = drawn
    .filter(({ mode }) => mode !== MUTED && mode !== BYPASSED)
    .map((node): [string, Node] => [node.id, { class_type: node.type, inputs: inputsOf(node, source) }]);
  return new Map(nodes);
}

/**
 * The texts of a drawing without links: one whose title says "negative" is the negative prompt,
 * else the second is.
 */
export function looseTexts(workflow: unknown): { positive: string; negative: string } {
  const nodes = isObject(workflow) && Array.isArray(workflow['nodes']) ? workflow['nodes'] : [];
  const texts = nodes
    .slice(0, MAX_NODES)
    .flatMap(toDrawn)
    .filter(({ type, mode }) => type === 'CLIPTextEncode' && mode !== MUTED)
    .map(({ title, values }) => ({ title, text: Array.isArray(values) ? String(values[0] ?? '') : '' }));
  const named = texts.find(({ title }) => /negative/i.test(title));
  const [first, second] = texts.filter((text) => text !== named);
  return { positive: first?.text ?? '', negative: (named ?? second)?.text ?? '' };
}

const toDrawn = (value: unknown, place: number): Drawn[] => {
  if (!isObject(value) || typeof value['type'] !== 'string') return [];
  const inputs = (Array.isArray(value['inputs']) ? value['inputs'] : []).flatMap((input: unknown) => {
    if (!isObject(input) || typeof input['name'] !== 'string') return [];
    const { name, link, type, widget } = input;
    return [
      {
        name,
        type,
        ...(typeof link === 'number' ? { link } : {}),
        ...(isObject(widget) && typeof widget['name'] === 'string' ? { widget: widget['name'] } : {}),
      },
    ];
  });
  return [
    {
      id: String(value['id'] ?? `#${place}`),
      type: value['type'],
      title: typeof value['title'] === 'string' ? value['title'] : '',
      mode: typeof value['mode'] === 'number' ? value['mode'] : 0,
      inputs,
      outputs: Array.isArray(value['outputs']) ? value['outputs'] : [],
      values: value['widgets_values'],
    },
  ];
};

/** Source node and output by link id, from `[link, from, output, to, input, type]` or the same by name. */
const linksOf = (links: unknown): ReadonlyMap<number, [string, number]> =>
  new Map(
    (Array.isArray(links) ? links : []).flatMap((link: unknown): [number, [string, number]][] => {
      const [id, from, output] = Array.isArray(link)
        ? link
        : isObject(link)
          ? [link['id'], link['origin_id'], link['origin_slot']]
          : [];
      return typeof id === 'number' && typeof output === 'number' ? [[id, [String(from), output]]] : [];
    }),
  );

/** A node that is bypassed gives what comes in at its first input of the same type. */
const bypass = (node: Drawn, output: number): number | undefined => {
  const out = node.outputs[output];
  const type = isObject(out) ? out['type'] : undefined;
  return node.inputs.find((input) => input.link !== undefined && (type === undefined || input.type === type))
    ?.link;
};

/** KJNodes' GetNode gives what the SetNode of the same name takes: by the getter's id, that one's link. */
const namedSources = (drawn: readonly Drawn[], links: ReadonlyMap<number, unknown>): Map<string, number> => {
  const nameOf = ({ values }: Drawn): unknown => (Array.isArray(values) ? values[0] : undefined);
  const set = new Map(
    drawn
      .filter(({ type }) => type === 'SetNode')
      .map((node) => [nameOf(node), node.inputs.find(({ link }) => link !== undefined)?.link] as const),
  );
  return new Map(
    drawn
      .filter(({ type }) => type === 'GetNode')
      .flatMap((node): [string, number][] => {
        const link = set.get(nameOf(node));
        return link !== undefined && links.has(link) ? [[node.id, link]] : [];
      }),
  );
};

const inputsOf = (
  node: Drawn,
  source: (link: number | undefined) => [string, number] | undefined,
): JsonObject => {
  const inputs: Record<string, unknown> = {};
  for (const [name, value] of valuesOf(node)) if (name !== '__proto__') inputs[name] = value;
  for (const { name, link } of node.inputs) {
    const wire = source(link);
    if (wire && name !== '__proto__') inputs[name] = wire;
  }
  return inputs;
};

const valuesOf = ({ type, values, inputs }: Drawn): [string, unknown][] => {
  if (isObject(values)) return Object.entries(values);
  if (!Array.isArray(values)) return [];
  const own = inputs.flatMap(({ widget }) =>
    widget === undefined ? [] : /^(?:noise_)?seed$/.test(widget) ? [widget, CONTROL] : [widget],
  );
  // The type comes from the file: `constructor` would match on every object.
  const names = (Object.hasOwn(WIDGETS, type) ? WIDGETS[type] : undefined) ?? own;
  if (names.length > 0) {
    const pairs: [string, unknown][] = [];
    let at = 0;
    for (const name of names) {
      if (at >= values.length) break;
      // Older files have no "control after generate" behind the seed.
      if (name === CONTROL && !CONTROLS.includes(values[at])) continue;
      const value: unknown = values[at++];
      if (name !== CONTROL && name !== '') pairs.push([name, value]);
    }
    return pairs;
  }
  const words: unknown = values.find((value) => typeof value === 'string');
  return words === undefined ? values.slice(0, 1).map((value) => ['value', value]) : [['text', words]];
};
