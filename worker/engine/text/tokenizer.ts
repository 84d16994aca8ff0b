/**
 * CLIP's tokenizer (and any other described by a tokenizer.json): text to ids, without begin and end marks.
 * Older folders have vocab.json and merges.txt only; the description is then built from them, as in transformers.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { EngineError, reason } from '../errors.ts';
import { parsePythonJson } from '../schedulers/config.ts';

export interface Tokenizer {
  /** The text's ids, without marks. */
  encode(text: string): number[];
  readonly begin: number;
  readonly end: number;
  readonly pad: number;
  /** Length of one row of the text encoder, marks included. */
  readonly length: number;
}

type Json = Record<string, unknown>;

/** @param maxPositions row length in the text encoder's config, for a tokenizer whose own is missing or larger */
export function loadTokenizer(dir: string, maxPositions = 77): Tokenizer {
  const config = readOptional(path.join(dir, 'tokenizer_config.json'));
  const special = readOptional(path.join(dir, 'special_tokens_map.json'));
  const file = path.join(dir, 'tokenizer.json');
  const description = withSpecialTokens(
    existsSync(file) ? readJson(file) : fromVocabulary(dir),
    ['bos_token', 'eos_token', 'unk_token', 'pad_token'].map((key) => config[key] ?? special[key]),
  );
  let native: HuggingFaceTokenizer;
  try {
    native = new HuggingFaceTokenizer(description, config);
  } catch (error) {
    throw new EngineError('bad-model', `${dir} holds no usable tokenizer: ${reason(error)}`, {
      file: dir,
      cause: error,
    });
  }
  const id = (key: string, fallback: string): number => {
    const token = tokenText(config[key]) ?? tokenText(special[key]) ?? fallback;
    const found = native.token_to_id(token);
    if (found === undefined) {
      throw new EngineError('bad-model', `${dir}: the vocabulary has no ${key} "${token}"`, { file: dir });
    }
    return found;
  };
  const end = id('eos_token', '<|endoftext|>');
  const declared = config['model_max_length'];
  return {
    encode: (text) => native.encode(text, { add_special_tokens: false }).ids,
    begin: id('bos_token', '<|startoftext|>'),
    end,
    pad: tokenText(config['pad_token'] ?? special['pad_token']) === undefined ? end : id('pad_token', ''),
    // transformers writes 1e30 where no length was set.
    length: typeof declared === 'number' && declared <= maxPositions ? declared : maxPositions,
  };
}

/**
 * transformers cuts a text at every special token before anything else is done with it. That matters where the
 * padding is a character people type: the second tokenizer of SDXL, and SD 2's, pad with "!".
 */
function withSpecialTokens(description: Json, special: readonly unknown[]): Json {
  const model = description['model'] as { readonly vocab?: Readonly<Record<string, number>> } | undefined;
  const added = (description['added_tokens'] ?? []) as readonly { readonly content: string }[];
  const known = new Set(added.map((token) => token.content));
  const missing = special
    .map(tokenText)
    .filter(
      (text, i, all): text is string => text !== undefined && !known.has(text) && all.indexOf(text) === i,
    )
    .flatMap((text) => {
      const id = model?.vocab?.[text];
      return id === undefined ? [] : [addedToken(text, id)];
    });
  return { ...description, added_tokens: [...added, ...missing] };
}

const addedToken = (content: string, id: number | undefined): Json => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** A special token's text: a string, or an object in older files. */
function tokenText(entry: unknown): string | undefined {
  if (typeof entry === 'string') return entry;
  if (typeof entry === 'object' && entry !== null && 'content' in entry) return String(entry.content);
  return undefined;
}

/** The description that transformers' CLIPTokenizerFast makes of vocab.json and merges.txt. */
function fromVocabulary(dir: string): Json {
  const vocabFile = path.join(dir, 'vocab.json');
  const mergesFile = path.join(dir, 'merges.txt');
  for (const file of [vocabFile, mergesFile]) {
    if (!existsSync(file))
      throw new EngineError('missing-file', `${file} is missing (nor is there a tokenizer.json)`, { file });
  }
  const vocab = readJson(vocabFile) as Record<string, number>;
  const merges = readFileSync(mergesFile, 'utf8')
    .replace(/^\uFEFF/, '')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#version'))
    .map((line) => line.trimEnd().split(' '));
  const begin = '<|startoftext|>';
  const end = '<|endoftext|>';
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [begin, end].map((token) => addedToken(token, vocab[token])),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: {
            Regex:
              "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
          },
          behavior: 'Removed',
          invert: true,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: end,
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

function readOptional(file: string): Json {
  return existsSync(file) ? readJson(file) : {};
}

function readJson(file: string): Json {
  try {
    return parsePythonJson(readFileSync(file, 'utf8')) as Json;
  } catch (error) {
    throw new EngineError('bad-model', `${file} is not JSON: ${reason(error)}`, { file, cause: error });
  }
}
