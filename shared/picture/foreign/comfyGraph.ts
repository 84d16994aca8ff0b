import { isObject, type JsonObject, type Lora, loraFrom } from './foreign.ts';

/**
 * ComfyUI's graph as it was run: nodes by id, each input a value or a wire `[node, output]`. What comes out of a
 * wire depends on the output it comes from and on the nodes in between; this is where those are known.
 */
export interface Node {
  readonly class_type: string;
  readonly inputs: JsonObject;
}
export type Graph = ReadonlyMap<string, Node>;

/** Which prompt: the positive or the negative one. */
export type Role = 'positive' | 'negative';

/** Larger graphs are not read: a million nodes would block the process. */
export const MAX_NODES = 5000;
/** Longer chains of wires than this are not followed. */
const DEEPEST = 400;

/** @returns undefined where this is no graph */
export function toGraph(value: unknown): Graph | undefined {
  if (!isObject(value)) return undefined;
  const entries = Object.entries(value);
  if (entries.length > MAX_NODES) return undefined;
  const nodes = entries.filter(
    (entry): entry is [string, Node & JsonObject] =>
      isObject(entry[1]) && typeof entry[1]['class_type'] === 'string' && isObject(entry[1]['inputs']),
  );
  return nodes.length === 0 ? undefined : new Map(nodes);
}

export interface Wire {
  readonly id: string;
  readonly output: number;
}

/** Ids are strings in the file; programs that write their own write numbers too. */
export const wireOf = (value: unknown): Wire | undefined => {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const [id, output] = value as unknown[];
  if ((typeof id !== 'string' && typeof id !== 'number') || typeof output !== 'number') return undefined;
  return { id: String(id), output };
};

/** A search through a graph: each node is visited once, whatever the number of ways to it. */
export class Walk {
  readonly #graph: Graph;
  readonly #seen = new Set<string>();
  #depth = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Calls `look` with the node behind a wire, the first time it is met at this output. */
  step<T>(value: unknown, look: (node: Node, wire: Wire) => T | undefined): T | undefined {
    const wire = wireOf(value);
    if (!wire || this.#depth >= DEEPEST) return undefined;
    const key = `${wire.id}:${wire.output}`;
    const node = this.#graph.get(wire.id);
    if (!node || this.#seen.has(key)) return undefined;
    this.#seen.add(key);
    this.#depth++;
    try {
      return look(node, wire);
    } finally {
      this.#depth--;
    }
  }

  /** The first node up the wire, itself included, for which `look` finds something. */
  search<T>(value: unknown, look: (node: Node, wire: Wire) => T | undefined): T | undefined {
    return this.step(value, (node, wire) => {
      const found = look(node, wire);
      if (found !== undefined) return found;
      for (const input of Object.values(node.inputs)) {
        const further = this.search(input, look);
        if (further !== undefined) return further;
      }
      return undefined;
    });
  }
}

/** Names of inputs that hold a text encoder's words, the surest first. */
const TEXTS = [
  'populated_text',
  'text_0',
  'text',
  'text_g',
  't5xxl',
  'clip_g',
  'clip_l',
  'text_l',
  'prompt',
  'user_prompt',
  'caption',
  'bert',
  'string',
  'String',
  'value',
  'Text',
  'wildcard_text',
];
/** Inputs of nodes that put strings together, in their order. */
const PIECE = /^(?:text|string|str|prompt|t|s|input)?_?(?:[a-h]|\d{1,2})$/i;
const JOINS = /concat|join|append|combine|stringfunction/i;
/** Names of inputs that do not lead to words. */
const ELSEWHERE =
  /^(?:positive|negative|clip|model|vae|image|pixels|mask|control_net|style_model|clip_vision|latent|samples)/i;
const ERASES = /zeroout|zero_out|emptyconditioning/i;

/** The words behind a wire of conditioning, of a pipe or of a string. */
export function textBehind(graph: Graph, value: unknown, role: Role): string {
  return wordsOf(new Walk(graph), value, role) ?? '';
}

function wordsOf(walk: Walk, value: unknown, role: Role): string | undefined {
  if (typeof value === 'string') return value;
  return walk.step(value, (node, wire) => wordsIn(walk, node, wire, role));
}

function wordsIn(walk: Walk, { class_type, inputs }: Node, wire: Wire, role: Role): string | undefined {
  if (ERASES.test(class_type)) return '';
  if ('positive' in inputs || 'negative' in inputs) {
    const side = sideOf(inputs, wire, role);
    const found = side === undefined ? undefined : wordsOf(walk, inputs[side], role);
    if (found !== undefined) return found;
  }
  if ('text_positive' in inputs)
    return wordsOf(walk, inputs[wire.output === 1 ? 'text_negative' : 'text_positive'], role);
  if (JOINS.test(class_type)) {
    const joined = joinedIn(walk, class_type, inputs, role);
    if (joined !== undefined) return joined;
  }
  const chosen = chosenIn(inputs);
  if (chosen !== undefined) return wordsOf(walk, chosen, role);
  let empty: string | undefined;
  for (const name of TEXTS) {
    if (!(name in inputs)) continue;
    const found = wordsOf(walk, inputs[name], role);
    if (found !== undefined && found.trim() !== '') return found;
    empty ??= found;
  }
  if (empty !== undefined) return empty;
  for (const [name, input] of Object.entries(inputs)) {
    if (ELSEWHERE.test(name) || !wireOf(input)) continue;
    const found = wordsOf(walk, input, role);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * A node with both sides: of wires (ControlNetApplyAdvanced), output 0 is the positive and 1 the negative; of
 * words (Efficient Loader, whose output 0 is the model), 1 and 2; a pipe carries both, and the role decides.
 */
function sideOf(inputs: JsonObject, { output }: Wire, role: Role): Role | undefined {
  if (!('positive' in inputs)) return 'negative';
  if (!('negative' in inputs)) return 'positive';
  if (wireOf(inputs['positive']) && wireOf(inputs['negative']) && !('ckpt_name' in inputs))
    return output === 0 ? 'positive' : output === 1 ? 'negative' : role;
  if ('ckpt_name' in inputs && (output === 1 || output === 2)) return output === 1 ? 'positive' : 'negative';
  return role;
}

/** Several strings one behind the other, or several conditionings, where the same words count once. */
function joinedIn(walk: Walk, type: string, inputs: JsonObject, role: Role): string | undefined {
  const conditioning = /^conditioning/i.test(type);
  const names = Object.keys(inputs).filter((name) =>
    conditioning ? /^conditioning/i.test(name) : PIECE.test(name),
  );
  if (!conditioning) names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  else names.sort((a, b) => Number(/from$/.test(a)) - Number(/from$/.test(b)));
  if (names.length === 0) return undefined;
  const pieces = names.map((name) => wordsOf(walk, inputs[name], role)).filter((text) => text !== undefined);
  if (pieces.length === 0) return undefined;
  const tidy = conditioning || inputs['tidy_tags'] === 'yes' || inputs['tidy_tags'] === true;
  const between = inputs['delimiter'] ?? inputs['separator'] ?? (tidy ? ', ' : '');
  const joint = typeof between === 'string' ? between.replaceAll('\\n', '\n') : '';
  return (conditioning ? [...new Set(pieces)] : pieces).filter((text) => text !== '').join(joint);
}

/** A switch: `select: 2` of `input1, input2`, or the first of `any_01, any_02` that is connected. */
function chosenIn(inputs: JsonObject): unknown {
  const select = inputs['select'] ?? inputs['index'] ?? inputs['Input'];
  if (typeof select === 'number') {
    for (const name of [
      `input${select}`,
      `input_${select}`,
      `text${select}`,
      `text_${select}`,
      `any_0${select}`,
    ])
      if (name in inputs) return inputs[name];
  }
  const any = Object.keys(inputs)
    .filter((name) => /^any_\d\d$/.test(name))
    .sort()[0];
  return any === undefined ? undefined : inputs[any];
}

const NUMBERS = ['value', 'int', 'number', 'Number', 'Value', 'float', 'seed', 'noise_seed', 'INT', 'FLOAT'];

/** A number or name: the value itself, or behind a wire an input called `name` or a constant. */
export function valueBehind(graph: Graph, value: unknown, name: string): unknown {
  return constantIn(new Walk(graph), value, name);
}

function constantIn(walk: Walk, value: unknown, name: string): unknown {
  if (!wireOf(value)) return Array.isArray(value) ? undefined : value;
  return walk.step(value, ({ inputs }) => {
    const known = [name, ...NUMBERS].find((key) => key in inputs);
    if (known !== undefined) return constantIn(walk, inputs[known], name);
    const chosen = chosenIn(inputs);
    if (chosen !== undefined) return constantIn(walk, chosen, name);
    for (const input of Object.values(inputs)) {
      const found = wireOf(input) ? constantIn(walk, input, name) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  });
}

/** The loader at the end of a wire of models, and the LoRAs on the way to it, last first. */
export function modelBehind(graph: Graph, value: unknown): { model?: unknown; loras: Lora[] } {
  const walk = new Walk(graph);
  const loras: Lora[] = [];
  const model = walk.search(value, ({ inputs }) => {
    loras.push(...lorasOf(inputs));
    const name = ['ckpt_name', 'base_ckpt_name', 'unet_name', 'model_name', 'gguf_name', 'model_path'].find(
      (key) => typeof inputs[key] === 'string',
    );
    return name === undefined ? undefined : inputs[name];
  });
  return { ...(model === undefined ? {} : { model }), loras };
}

/** LoraLoader; Efficient Loader; stacks (`lora_name_1`, `lora_wt_1`); rgthree's `lora_1: {on, lora, strength}`. */
const lorasOf = (inputs: JsonObject): Lora[] =>
  Object.entries(inputs).flatMap(([name, value]): Lora[] => {
    if (name === 'lora_name')
      return loraFrom(value, inputs['strength_model'] ?? inputs['lora_model_strength'] ?? inputs['strength']);
    const [, place] = /^lora_name_(\d+)$/.exec(name) ?? [];
    if (place !== undefined) {
      const weight =
        inputs[`lora_wt_${place}`] ?? inputs[`model_weight_${place}`] ?? inputs[`model_str_${place}`];
      return inputs[`switch_${place}`] === 'Off' ? [] : loraFrom(value, weight);
    }
    return /^lora_\d+$/i.test(name) && isObject(value) && value['on'] !== false
      ? loraFrom(value['lora'], value['strength'])
      : [];
  });
