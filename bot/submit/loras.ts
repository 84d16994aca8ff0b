import type { Foreign } from '../../shared/picture/foreign/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import {
  adapterNameOf,
  findAdapter,
  fits,
  type LoraCard,
  type LoraWish,
  MAX_LORA_WEIGHT,
  MAX_LORAS,
} from '../../shared/picture/lora.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import type { App } from '../app.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { readServer } from '../server/settings.ts';

/** Every LoRA that some installed model can take, once. */
export function usableLoras(models: ReadonlyMap<string, ModelCard>): LoraCard[] {
  const usable = new Map<string, LoraCard>();
  for (const { base, loras = [] } of models.values())
    for (const lora of loras) if (fits(lora, base)) usable.set(lora.name, lora);
  return [...usable.values()];
}

/** `pixelart`, with the words that wake it. */
export const describeLora = ({ name, words }: LoraCard): string =>
  words.length === 0 ? name : `${name} · ${words.join(', ')}`;

/** Discord's limit of characters in a choice's value. */
const CHOICE_MAX = 100;

/**
 * Completes the last name of a comma-separated list of LoRAs; each choice is the whole list. A typed weight
 * stays; LoRAs that are not in the list yet come first.
 */
export function completeLoras(typed: string, cards: readonly LoraCard[]): { name: string; value: string }[] {
  const parts = typed.split(',').map((part) => part.trim());
  const [, begun = '', weight] = /^([^:]*?)\s*(?::\s*(.*))?$/.exec(parts.pop() ?? '') ?? [];
  const before = parts.filter((part) => part !== '');
  const isNamed = ({ name }: LoraCard): boolean =>
    before.some((part) => part.split(':')[0]?.trim().toLowerCase() === name.toLowerCase());
  const matching = cards.filter((card) => describeLora(card).toLowerCase().includes(begun.toLowerCase()));
  const inOrder = [...matching.filter((card) => !isNamed(card)), ...matching.filter(isNamed)];
  return inOrder.flatMap((card) => {
    const one = `${card.name}:${weight || card.weight}`;
    const value = [...before, one].join(', ');
    const words = card.words.length === 0 ? '' : ` · ${card.words.join(', ')}`;
    return value.length > CHOICE_MAX ? [] : [{ name: `${value}${words}`.slice(0, CHOICE_MAX), value }];
  });
}

/** `pixelart 0.8 (pixel art)`, for a message. */
export const loraLine = (lora: LoraCard): string => {
  const words = lora.words.length > 0 ? ` (${escapeMarkdown(lora.words.join(', ')).slice(0, 100)})` : '';
  return `\`${lora.name}:${lora.weight}\`${words}`;
};

/** Reads `a, b:0.5`; a LoRA without a typed weight gets its card's. */
export const readLoraList = (text: string, cards: readonly LoraCard[]): LoraWish[] =>
  text.split(',').flatMap((part) => {
    const [, name = '', weight] = /^\s*([^:]*?)\s*(?::\s*([-+\d.]+)\s*)?$/.exec(part) ?? [];
    if (name === '') return [];
    const card = cards.find((each) => each.name.toLowerCase() === name.toLowerCase());
    return [
      { name: card?.name ?? name, weight: weight === undefined ? (card?.weight ?? 1) : Number(weight) },
    ];
  });

export interface KnownLoras {
  loras: LoraWish[];
  /** LoRAs that are not installed, or made for models that are not installed. */
  missing: string[];
  /** Installed LoRAs that this server does not allow. */
  denied: string[];
}

/**
 * The LoRAs that another program's file names: installed ones as wishes, others by name. The hash says which
 * file it was, whatever its name there and here.
 */
export function installedLoras(
  named: NonNullable<Foreign['loras']>,
  cards: readonly LoraCard[],
  allowed: (name: string) => boolean = () => true,
): KnownLoras {
  const loras = new Map<string, LoraWish>();
  const missing: string[] = [];
  const denied: string[] = [];
  for (const { name, weight, hash } of named) {
    const card = findByHash(cards, hash) ?? findAdapter(cards, adapterNameOf(name));
    if (card === undefined || loras.size === MAX_LORAS) missing.push(name);
    else if (!allowed(card.name)) denied.push(name);
    else {
      const asked = Math.round((weight ?? card.weight) * 1e4) / 1e4;
      const most = Math.max(-MAX_LORA_WEIGHT, Math.min(MAX_LORA_WEIGHT, asked));
      loras.set(card.name, { name: card.name, weight: most });
    }
  }
  return { loras: [...loras.values()], missing: [...new Set(missing)], denied: [...new Set(denied)] };
}

const findByHash = (cards: readonly LoraCard[], hash: string | undefined): LoraCard | undefined =>
  hash === undefined
    ? undefined
    : cards.find(({ sha256, tensors }) => sha256.startsWith(hash) || tensors?.startsWith(hash));

/** Of the LoRAs that a file names, those that can be used here now. @param models that may paint it */
export async function lorasHere(
  { redis }: App,
  guildId: string | undefined,
  foreign: Foreign | undefined,
  models: ReadonlyMap<string, ModelCard>,
): Promise<KnownLoras> {
  if (!foreign?.loras) return { loras: [], missing: [], denied: [] };
  const { loras: rules } = await onRedis(readServer(redis, guildId));
  return installedLoras(foreign.loras, usableLoras(models), mayUse(rules));
}

/** Whether a server's rules allow a LoRA: `-name` forbids it; plain names allow only themselves. */
export function mayUse(rules: readonly string[]): (name: string) => boolean {
  const lower = rules.map((rule) => rule.toLowerCase());
  const denied = new Set(lower.filter((rule) => rule.startsWith('-')).map((rule) => rule.slice(1).trim()));
  const allowed = new Set(lower.filter((rule) => !rule.startsWith('-')));
  return (name) => !denied.has(name.toLowerCase()) && (allowed.size === 0 || allowed.has(name.toLowerCase()));
}

/** The models, with only the LoRAs that a server allows. */
export function permitted(
  models: ReadonlyMap<string, ModelCard>,
  rules: readonly string[],
): ReadonlyMap<string, ModelCard> {
  if (rules.length === 0) return models;
  const allowed = mayUse(rules);
  const may = ({ name }: LoraCard): boolean => allowed(name);
  return new Map(
    [...models].map(([name, card]) => [name, card.loras ? { ...card, loras: card.loras.filter(may) } : card]),
  );
}
