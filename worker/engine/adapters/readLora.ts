/**
 * Reads a LoRA's file, whoever trained it: for each module of the network it looks for the names that trainers give the
 * module's tensors. A tensor that is left over is not understood, and the file is refused by its name.
 *
 * Forms: LoRA (Hu et al., 2021; kohya's, PEFT's and diffusers' names), LoCon with or without a middle factor, LoHa and
 * LoKr (LyCORIS, Yeh et al., 2023), DoRA (Liu et al., 2024) on any of them, full differences of weights, biases, norms.
 */
import path from 'node:path';
import { EngineError } from '../errors.ts';
import { type AdaptedModule, type AdaptedNetwork, sides } from './adaptedNetwork.ts';
import { baseOfFile } from './baseModel.ts';
import { type PeftConfig, peftScale, readPeft } from './peft.ts';
import { type AdaptedPart, oldStems, stems } from './tensorNames.ts';
import { elements, readScalar, type StoredTensor, type TensorSource } from './tensorSource.ts';

/** W + scale · change, in one of the forms that files have. `scale` is alpha over rank. */
export type Change =
  | {
      readonly kind: 'factors';
      readonly down: StoredTensor;
      readonly up: StoredTensor;
      readonly mid?: StoredTensor;
      readonly scale: number;
    }
  | {
      readonly kind: 'loha' | 'lokr';
      readonly tensors: Readonly<Record<string, StoredTensor>>;
      readonly scale: number;
    }
  | { readonly kind: 'difference'; readonly difference: StoredTensor; readonly scale: number };

export interface ModuleChange {
  readonly changes: readonly Change[];
  /** DoRA: the length that each row (or, in LyCORIS' older files, each column) of the weight is scaled to. */
  readonly magnitude?: { readonly stored: StoredTensor; readonly by: 'row' | 'column' };
  /** A difference that is added to the module's bias. */
  readonly bias?: { readonly stored: StoredTensor; readonly scale: number };
}

/** By network and module. */
export type Changes = ReadonlyMap<AdaptedPart, ReadonlyMap<string, ModuleChange>>;

const pairs = [
  ['lora_down.weight', 'lora_up.weight'],
  ['lora_A.weight', 'lora_B.weight'],
  ['lora_A.default.weight', 'lora_B.default.weight'],
  ['lora_A.default_0.weight', 'lora_B.default_0.weight'],
  ['lora.down.weight', 'lora.up.weight'],
  ['lora_linear_layer.down.weight', 'lora_linear_layer.up.weight'],
  ['lora_A', 'lora_B'],
] as const;
const parts = {
  loha: ['hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b', 'hada_t1', 'hada_t2'],
  lokr: [
    ...['lokr_w1', 'lokr_w1_a', 'lokr_w1_b', 'lokr_w2', 'lokr_w2_a', 'lokr_w2_b'],
    ...['lokr_t1', 'lokr_t2'],
  ],
} as const;

/**
 * @param model the model's name and base, for errors about a file that does not fit
 * @throws EngineError('bad-adapter') which names the file, and the base or the key that does not fit
 */
export function readChanges(
  source: TensorSource,
  networks: readonly AdaptedNetwork[],
  model: { readonly name: string; readonly base: string },
): Changes {
  const reader = new Reader(source, model);
  const changes = new Map<AdaptedPart, Map<string, ModuleChange>>();
  for (const network of networks) {
    const own = new Map<string, ModuleChange>();
    for (const module of network.modules.values()) {
      const change = reader.read(network, module);
      if (change) own.set(module.name, change);
    }
    if (own.size > 0) changes.set(network.part, own);
  }
  reader.refuseLeftovers();
  return changes;
}

interface Found {
  readonly changes: Change[];
  magnitude?: NonNullable<ModuleChange['magnitude']>;
  bias?: NonNullable<ModuleChange['bias']>;
}

class Reader {
  readonly #source: TensorSource;
  readonly #model: { readonly name: string; readonly base: string };
  readonly #left: Set<string>;
  readonly #peft: PeftConfig;

  constructor(source: TensorSource, model: { readonly name: string; readonly base: string }) {
    this.#source = source;
    this.#model = model;
    this.#left = new Set(source.tensors.keys());
    this.#peft = readPeft(source);
  }

  read({ part, shape }: AdaptedNetwork, module: AdaptedModule): ModuleChange | undefined {
    const found: Found = { changes: [] };
    for (const stem of stems(part, module.name, shape)) this.#readStem(stem, part, module, found);
    for (const stem of oldStems(part, module.name)) {
      const down = this.#take(`${stem}.down.weight`);
      const up = this.#take(`${stem}.up.weight`);
      if (down || up) found.changes.push(this.#factors(module, stem, down, up, undefined, () => 1));
    }
    if (found.changes.length === 0 && !found.bias && !found.magnitude) return undefined;
    if (found.magnitude && found.changes.length === 0)
      throw this.#misfit(`${module.name} has a DoRA magnitude and nothing that it belongs to`);
    return found;
  }

  #readStem(stem: string, part: AdaptedPart, module: AdaptedModule, found: Found): void {
    const take = (tail: string): StoredTensor | undefined => this.#take(`${stem}.${tail}`);
    const alpha = take('alpha');
    const scaleOf = (rank: number): number =>
      alpha ? readScalar(alpha) / rank : peftScale(this.#peft, part, module.name, rank);
    for (const [downName, upName] of pairs) {
      const [down, up] = [take(downName), take(upName)];
      if (!down && !up) continue;
      const change = this.#factors(module, stem, down, up, take('lora_mid.weight'), scaleOf);
      found.changes.push(change);
      const bias = take(upName.replace(/weight$/, 'bias'));
      if (bias) found.bias = this.#bias(module, bias, change.scale);
    }
    for (const kind of ['loha', 'lokr'] as const) {
      const own: Record<string, StoredTensor> = {};
      for (const name of parts[kind]) {
        const stored = take(name);
        if (stored) own[name] = stored;
      }
      if (Object.keys(own).length > 0) found.changes.push(this.#product(kind, stem, own, scaleOf));
    }
    const difference = take('diff') ?? take('diff.weight') ?? take('w_norm');
    if (difference) {
      if (elements(difference.shape) !== elements(module.shape)) throw this.#shape(stem, difference, module);
      found.changes.push({ kind: 'difference', difference, scale: 1 });
    }
    const bias = take('diff_b') ?? take('b_norm');
    if (bias) found.bias = this.#bias(module, bias, 1);
    const peft =
      take('lora_magnitude_vector') ??
      take('lora_magnitude_vector.default.weight') ??
      take('lora_magnitude_vector.weight');
    const lycoris = take('dora_scale');
    if (peft) found.magnitude = this.#magnitude(module, stem, peft, 'row');
    else if (lycoris) {
      const [first = 1, second = 1] = lycoris.shape;
      found.magnitude = this.#magnitude(module, stem, lycoris, first === 1 && second > 1 ? 'column' : 'row');
    }
  }

  #factors(
    module: AdaptedModule,
    stem: string,
    down: StoredTensor | undefined,
    up: StoredTensor | undefined,
    mid: StoredTensor | undefined,
    scaleOf: (rank: number) => number,
  ): Change {
    if (!down || !up) throw this.#misfit(`${stem} has one factor of two`);
    const rank = down.shape[0] ?? 0;
    const { out, into, window } = sides(module);
    const wide = mid ? 1 : window;
    const fits =
      rank > 0 &&
      module.port !== undefined &&
      elements(down.shape) === rank * into * wide &&
      down.shape[1] === (down.shape.length === 2 && wide > 1 ? into * wide : into) &&
      up.shape[0] === out &&
      elements(up.shape) === out * rank &&
      (!mid || elements(mid.shape) === rank * rank * window);
    if (!fits) throw this.#shape(stem, down, module, up);
    return { kind: 'factors', down, up, ...(mid ? { mid } : {}), scale: scaleOf(rank) };
  }

  #product(
    kind: 'loha' | 'lokr',
    stem: string,
    tensors: Record<string, StoredTensor>,
    scaleOf: (rank: number) => number,
  ): Change {
    const has = (...names: string[]): boolean => names.every((name) => tensors[name] !== undefined);
    const whole =
      kind === 'loha'
        ? has('hada_w1_a', 'hada_w1_b', 'hada_w2_a', 'hada_w2_b')
        : (has('lokr_w1') || has('lokr_w1_a', 'lokr_w1_b')) &&
          (has('lokr_w2') || has('lokr_w2_a', 'lokr_w2_b'));
    if (!whole) throw this.#misfit(`${stem} lacks a factor of its ${kind === 'loha' ? 'LoHa' : 'LoKr'}`);
    const ranked = kind === 'loha' ? tensors['hada_w1_b'] : (tensors['lokr_w2_b'] ?? tensors['lokr_w1_b']);
    // Without factors in either half there is no rank; LyCORIS then sets alpha so that the scale is 1.
    return { kind, tensors, scale: ranked === undefined ? 1 : scaleOf(ranked.shape[0] ?? 1) };
  }

  #bias(module: AdaptedModule, stored: StoredTensor, scale: number): NonNullable<ModuleChange['bias']> {
    if (!module.bias) throw this.#misfit(`${module.name} has no bias to change`);
    if (elements(stored.shape) !== elements(module.bias.shape))
      throw this.#shape(module.name, stored, module);
    return { stored, scale };
  }

  #magnitude(
    module: AdaptedModule,
    stem: string,
    stored: StoredTensor,
    by: 'row' | 'column',
  ): NonNullable<ModuleChange['magnitude']> {
    const { out, into } = sides(module);
    if (elements(stored.shape) !== (by === 'row' ? out : into)) throw this.#shape(stem, stored, module);
    return { stored, by };
  }

  refuseLeftovers(): void {
    const { tensors } = this.#source;
    const first = [...this.#left][0];
    if (tensors.size === 0) throw this.#misfit('it holds nothing');
    if (first === undefined) return;
    throw this.#foreign(
      `${JSON.stringify(first)} is a layer that it does not have (${this.#left.size} of ${tensors.size} names are unknown)`,
    );
  }

  #take(name: string): StoredTensor | undefined {
    const stored = this.#source.tensors.get(name);
    if (stored) this.#left.delete(name);
    return stored;
  }

  #shape(stem: string, stored: StoredTensor, { shape }: AdaptedModule, up?: StoredTensor): EngineError {
    const given = [stored, ...(up ? [up] : [])].map((each) => each.shape.join('×') || 'a number');
    return this.#foreign(`${stem} is ${given.join(' and ')} for a layer of ${shape.join('×')}`);
  }

  /** Names the file's base where that is another one: the base says more than the first key that does not fit. */
  #foreign(why: string): EngineError {
    const { base, name } = this.#model;
    const own = baseOfFile(this.#source);
    if (own === undefined || own === base) return this.#misfit(`it does not fit ${name} (${base}): ${why}`);
    return this.#misfit(`it is made for ${own}, and ${name} is a ${base} model: ${why}`);
  }

  #misfit(why: string): EngineError {
    const { file } = this.#source;
    return new EngineError('bad-adapter', `${path.basename(file)} cannot be used as a LoRA: ${why}`, {
      file,
    });
  }
}
