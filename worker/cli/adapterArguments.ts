/** `--lora FILE:W` and `--embedding TOKEN=FILE`, each any number of times, for the engine. */
import type { EmbeddingUse, LoraUse } from '../engine/index.ts';
import { readSafetensors } from '../models/import/safetensors.ts';
import { pathFromUser } from './usage.ts';

/** Why an argument cannot be read, in one line for the user. */
export class WrongAdapter extends Error {}

/** The weight is behind the last colon; 1 where there is none. */
export async function readLoraArgument(text: string): Promise<LoraUse> {
  const [, file = '', weight = '1'] = /^(.*?)(?::([^:/\\]*))?$/s.exec(text) ?? [];
  const parsed = Number(weight);
  if (file === '' || weight.trim() === '' || !Number.isFinite(parsed))
    throw new WrongAdapter(`--lora ${JSON.stringify(text)} is not FILE:W, a file and a number`);
  return { source: await readSafetensors(pathFromUser(file)), weight: parsed };
}

export async function readEmbeddingArgument(text: string): Promise<EmbeddingUse> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1)
    throw new WrongAdapter(`--embedding ${JSON.stringify(text)} is not TOKEN=FILE, a word and a file`);
  return { token: text.slice(0, at), source: await readSafetensors(pathFromUser(text.slice(at + 1))) };
}
