import type { Metadata } from '../metadata.ts';

/** How a picture was painted, as far as its file says; what it does not say is absent. */
export interface Foreign {
  /** The program that wrote it. */
  tool: string;
  /** Words, one line; '' where the file has none. */
  prompt: string;
  negative: string;
  /** A string of digits where a double cannot hold it. */
  seed?: number | string;
  steps?: number;
  /** Classifier-free guidance; of a distilled model that has none, its own guidance. */
  guidance?: number;
  /** Pixels. */
  width?: number;
  height?: number;
  /** Our name for a sampler that the engine has (`dpmpp-2m-karras`), else as the file says it. */
  sampler?: string;
  /** The schedule of the noise, as the file says it. */
  scheduler?: string;
  model?: string;
  loras?: Lora[];
}

export interface Lora {
  name: string;
  weight?: number;
  /** The first hex digits of a sha256: of the file, or of its tensors alone. */
  hash?: string;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** A file's metadata in the forms that the programs' readers use. */
export interface Evidence extends Metadata {
  /** Every text that is a JSON object, with where it stood: a PNG keyword, `comment` or `xmp`. */
  readonly objects: readonly { readonly at: string; readonly value: JsonObject }[];
  /** Texts that are no JSON, where a whole description may stand. */
  readonly plain: readonly { readonly at: string; readonly text: string }[];
}

/** Whether a value of JSON is an object, not null and not a list. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const MAX_WORDS = 6000;
const MAX_NAME = 100;
const MAX_LORAS = 50;

/** Text as one line of at most MAX_WORDS units. */
export const clean = (value: unknown): string =>
  typeof value === 'string'
    ? value
        .slice(0, 4 * MAX_WORDS)
        .replace(/\s+/g, ' ')
        .trim()
        .slice(0, MAX_WORDS)
    : '';

/** Values that a program's reader found, in the types of the file's JSON. */
export interface Found {
  tool: string;
  prompt: unknown;
  negative?: unknown;
  seed?: unknown;
  steps?: unknown;
  guidance?: unknown;
  width?: unknown;
  height?: unknown;
  sampler?: unknown;
  scheduler?: unknown;
  model?: unknown;
  loras?: readonly Lora[];
}

/** Untrusted values brought into the types of `Foreign`: what does not fit is left out. */
export function toForeign(found: Found): Foreign {
  const { tool, prompt, negative, loras = [] } = found;
  const seed = seedFrom(found.seed);
  const numbers = Object.fromEntries(
    (['steps', 'guidance', 'width', 'height'] as const).flatMap((name) => {
      const value = numberFrom(found[name]);
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const names = Object.fromEntries(
    (['sampler', 'scheduler', 'model'] as const).flatMap((name) => {
      const value = clean(found[name]).slice(0, MAX_NAME);
      return value === '' || value === 'None' ? [] : [[name, value]];
    }),
  );
  return {
    tool,
    prompt: clean(prompt),
    negative: clean(negative),
    ...(seed === undefined ? {} : { seed }),
    ...numbers,
    ...names,
    ...(loras.length === 0 ? {} : { loras: loras.slice(0, MAX_LORAS) }),
  };
}

/** A whole number ≥ 0, as digits where a double cannot hold it; undefined otherwise (-1 means random). */
export function seedFrom(value: unknown): number | string | undefined {
  if (typeof value === 'string' && /^\d{1,40}$/.test(value.trim())) return seedFrom(BigInt(value.trim()));
  if (typeof value === 'bigint') {
    if (value < 0n) return undefined;
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
  }
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** A finite number ≥ 0, also from text of plain decimals; undefined otherwise. */
export function numberFrom(value: unknown): number | undefined {
  if (typeof value === 'string' && !/^\s*\d{0,9}(?:\.\d{0,9})?\s*$/.test(value)) return undefined;
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === '')) return undefined;
  const number = Number(value);
  return Number.isFinite(number) && number >= 0 ? number : undefined;
}

/** `832x1216`, `(1152, 896)`, `1024 × 1024`. */
export function sizeFrom(value: unknown): { width?: string; height?: string } {
  const [, width, height] = /(\d{1,6})\s*[x×*,]\s*(\d{1,6})/i.exec(clean(value).slice(0, MAX_NAME)) ?? [];
  return width === undefined || height === undefined ? {} : { width, height };
}

/** @param hash where the program gives one */
export const loraFrom = (name: unknown, weight: unknown, hash?: unknown): Lora[] => {
  const text = clean(name).slice(0, MAX_NAME);
  const number = typeof weight === 'string' && /^-?\d*\.?\d+$/.test(weight) ? Number(weight) : weight;
  if (text === '' || text === 'None') return [];
  const [, digits] = HASH.exec(typeof hash === 'string' ? hash.trim() : '') ?? [];
  return [
    {
      name: text,
      ...(typeof number === 'number' && Number.isFinite(number) ? { weight: number } : {}),
      ...(digits === undefined ? {} : { hash: digits.toLowerCase() }),
    },
  ];
};

/** LoRAs with the hashes that the file gives by LoRA name; two programs write `lora:name`. */
export const hashed = (loras: readonly Lora[], hashes: ReadonlyMap<string, string>): Lora[] =>
  loras.map((lora) => {
    const hash = hashes.get(lora.name.toLowerCase());
    return hash === undefined ? lora : { ...lora, hash };
  });

/** A LoRA's hash, 8 digits at least: shorter ones would match different files. */
export const HASH = /^(?:0x)?([0-9a-f]{8,64})$/i;

/** LoRAs written as `<lora:name:0.8>` in a prompt. */
export const lorasIn = (text: string): Lora[] =>
  [
    ...text.slice(0, 4 * MAX_WORDS).matchAll(/<lora:([^:<>]{1,200})(?::(-?[\d.]{1,10})[^<>]{0,100})?>/gi),
  ].flatMap(([, name, weight]) => loraFrom(name, weight));
