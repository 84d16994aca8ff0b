import { z } from 'zod';
import { readText } from './png.ts';

/**
 * How other programs' pictures were painted, read out of the text in their PNG files: `parameters` as
 * AUTOMATIC1111's web UI and its kin write it, `prompt` and `workflow` as ComfyUI does. Strangers' bytes: what
 * cannot be read is left out, never an exception.
 */
export interface Foreign {
  tool: 'AUTOMATIC1111' | 'ComfyUI';
  prompt: string;
  negative: string;
  seed?: number;
  steps?: number;
  guidance?: number;
  sampler?: string;
  width?: number;
  height?: number;
  model?: string;
}

const MOST = 6000;

export function readForeign(bytes: Uint8Array): Foreign | undefined {
  const texts = readText(bytes);
  const parameters = texts.get('parameters');
  const found = parameters === undefined ? undefined : readParameters(parameters);
  if (found) return found;
  return readGraph(texts.get('prompt')) ?? readWorkflow(texts.get('workflow'));
}

const clean = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, MOST);

/** `prompt`, a line `Negative prompt: …`, and a last line `Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, …`. */
export function readParameters(text: string): Foreign | undefined {
  const lines = text.split('\n');
  const last = lines.at(-1) ?? '';
  const fields = /(?:^|, )Steps: \d+/.test(last) ? readFields(last) : new Map<string, string>();
  if (fields.size > 0) lines.pop();
  const at = lines.findIndex((line) => line.startsWith('Negative prompt: '));
  const prompt = clean(lines.slice(0, at < 0 ? undefined : at).join('\n'));
  const negative = at < 0 ? '' : clean(lines.slice(at).join('\n').slice('Negative prompt: '.length));
  if (prompt === '' && fields.size === 0) return undefined;
  const [width, height] = (fields.get('Size') ?? '').split('x');
  return {
    tool: 'AUTOMATIC1111',
    prompt,
    negative,
    ...numbers({
      seed: fields.get('Seed'),
      steps: fields.get('Steps'),
      guidance: fields.get('CFG scale'),
      width,
      height,
    }),
    ...strings({ sampler: fields.get('Sampler'), model: fields.get('Model') }),
  };
}

/** Values with commas in them stand in quotes. A run of blanks is one: the search would try each anew. */
const readFields = (line: string): Map<string, string> =>
  new Map(
    [
      ...line
        .replace(/\s+/g, ' ')
        .slice(0, 20_000)
        .matchAll(/ ?([\w /]{1,40}): ?("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)/g),
    ].map(([, name, value]) => [name as string, (value as string).replace(/^"|"$/g, '').trim()]),
  );

type Numbers = Partial<Record<'seed' | 'steps' | 'guidance' | 'width' | 'height', unknown>>;
const numbers = (values: Numbers): Partial<Record<keyof Numbers, number>> =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => (typeof value === 'string' && value !== '') || typeof value === 'number')
      .map(([name, value]) => [name, Number(value)])
      .filter(([, value]) => Number.isFinite(value) && (value as number) >= 0),
  );
const strings = (values: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => typeof value === 'string' && value !== '')
      .map(([name, value]) => [name, clean(value as string).slice(0, 100)]),
  );

/** Far more than anybody draws; a million of them would hold up whoever reads them. */
const MOST_NODES = 5000;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const few = (value: object): boolean => Object.keys(value).length <= MOST_NODES;

const graphSchema = z
  .custom<Record<string, unknown>>((value) => isObject(value) && few(value))
  .pipe(
    z.record(
      z.string(),
      z.looseObject({ class_type: z.string(), inputs: z.custom<Record<string, unknown>>(isObject) }),
    ),
  );
type Graph = z.infer<typeof graphSchema>;

function json<T>(text: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (text === undefined) return undefined;
  try {
    // ComfyUI writes NaN, which JSON does not know.
    const parsed = schema.safeParse(JSON.parse(text.replace(/\bNaN\b/g, 'null')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** The graph that was run: from the sampler back along its wires. */
function readGraph(text: string | undefined): Foreign | undefined {
  const graph = json(text, graphSchema);
  const samplers = Object.values(graph ?? {}).filter(
    ({ inputs }) => isWire(inputs['positive']) && isWire(inputs['negative']),
  );
  const sampler = samplers.find(({ class_type }) => /sampler/i.test(class_type)) ?? samplers[0];
  if (!graph || !sampler) return undefined;
  const { inputs } = sampler;
  const size = follow(graph, inputs['latent_image'], ['width', 'height']);
  const model = follow(graph, inputs['model'], ['ckpt_name', 'unet_name']);
  return {
    tool: 'ComfyUI',
    prompt: textAt(graph, inputs['positive']),
    negative: textAt(graph, inputs['negative']),
    ...numbers({
      seed: inputs['seed'] ?? inputs['noise_seed'],
      steps: inputs['steps'],
      guidance: inputs['cfg'],
      width: size?.['width'],
      height: size?.['height'],
    }),
    ...strings({ sampler: inputs['sampler_name'], model: model?.['ckpt_name'] ?? model?.['unet_name'] }),
  };
}

/** `[node, output]`. */
const isWire = (value: unknown): value is [string, number] =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === 'string';

const DEEPEST = 12;

/**
 * The first node up the wire that has one of these inputs as a plain value. Each node is looked at once for each
 * depth at most (`seen`: the least so far), whatever the number of ways to it: k wires a node are not k^12 ways.
 */
function follow(
  graph: Graph,
  wire: unknown,
  names: readonly string[],
  depth = 0,
  seen = new Map<string, number>(),
): Record<string, unknown> | undefined {
  if (!isWire(wire) || depth > DEEPEST) return undefined;
  const [id] = wire;
  if (depth >= (seen.get(id) ?? Number.POSITIVE_INFINITY)) return undefined;
  seen.set(id, depth);
  const node = Object.hasOwn(graph, id) ? graph[id] : undefined;
  if (!node) return undefined;
  if (names.some((name) => name in node.inputs && !isWire(node.inputs[name]))) return node.inputs;
  for (const value of Object.values(node.inputs)) {
    const found = follow(graph, value, names, depth + 1, seen);
    if (found) return found;
  }
  return undefined;
}

function textAt(graph: Graph, wire: unknown): string {
  const node = follow(graph, wire, ['text', 'text_g', 'string', 'value']);
  const text = ['text', 'text_g', 'string', 'value']
    .map((name) => node?.[name])
    .find((v) => typeof v === 'string');
  return clean((text as string | undefined) ?? '');
}

const workflowSchema = z.looseObject({
  nodes: z
    .custom<unknown[]>((value) => Array.isArray(value) && few(value))
    .pipe(z.array(z.looseObject({ type: z.string(), widgets_values: z.unknown() }))),
});

/** The drawing of the graph, where the graph itself is missing: widgets by their place in the known nodes. */
function readWorkflow(text: string | undefined): Foreign | undefined {
  const nodes = json(text, workflowSchema)?.nodes ?? [];
  const values = (type: string): unknown[][] =>
    nodes
      .filter((node) => node.type === type)
      .map(({ widgets_values }) => (Array.isArray(widgets_values) ? widgets_values : []));
  const [sampler] = values('KSampler');
  const texts = values('CLIPTextEncode').map(([first]) => (typeof first === 'string' ? first : ''));
  if (!sampler || texts.length === 0) return undefined;
  const [width, height] = values('EmptyLatentImage')[0] ?? [];
  const [seed, , steps, guidance, name] = sampler;
  return {
    tool: 'ComfyUI',
    prompt: clean(texts[0] as string),
    negative: clean(texts[1] ?? ''),
    ...numbers({ seed, steps, guidance, width, height }),
    ...strings({ sampler: name, model: values('CheckpointLoaderSimple')[0]?.[0] }),
  };
}
