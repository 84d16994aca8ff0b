/**
 * LoRAs and textual inversions beside the models: `models/loras/*.safetensors`, `models/embeddings/*.safetensors`, put
 * there by hand or by `dreamgrid loras add`, and those in a model's own folders (`models/pocket/loras/`).
 * `<name>.json` beside a file overrules the file's metadata.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import {
  ADAPTER_NAME,
  adapterNameOf,
  type BaseName,
  type EmbeddingCard,
  findAdapter,
  type LoraCard,
  loraCardSchema,
} from '../../shared/picture/lora.ts';
import { messageOf } from '../../shared/service/errors.ts';
import { describeEmbedding, describeLora } from './describeAdapter.ts';
import { hashFile } from './hub/describeModel.ts';
import { readSafetensors, type TensorFile } from './import/safetensors.ts';

export type AdapterKind = 'loras' | 'embeddings';
/** Names of folders in the models' folder that hold no model. */
export const ADAPTER_KINDS: readonly AdapterKind[] = ['loras', 'embeddings'];

export interface InstalledAdapter<Card> {
  readonly file: string;
  readonly bytes: number;
  readonly card: Card;
}

export interface AdapterStore {
  readonly loras: readonly InstalledAdapter<LoraCard>[];
  readonly embeddings: readonly InstalledAdapter<EmbeddingCard>[];
  /** One sentence for each file that cannot be used. */
  readonly problems: readonly string[];
  /** Reads new and changed files and drops deleted ones; cheap where nothing changed. */
  refresh(): Promise<void>;
  /** The file with the recipe's hash; undefined where it is gone or has other content by now. */
  find(kind: AdapterKind, name: string, sha256: string): string | undefined;
}

/** What may stand in `<name>.json`: everything but name and content. */
export const sidecarSchema = loraCardSchema.omit({ name: true, sha256: true, tensors: true }).partial();
export type Sidecar = z.infer<typeof sidecarSchema>;

interface Known {
  readonly stamp: string;
  readonly found?: InstalledAdapter<LoraCard & EmbeddingCard>;
  readonly problem?: string;
}

export async function openAdapterStore(models: string): Promise<AdapterStore> {
  const known = new Map<string, Known>();
  const list = async (kind: AdapterKind): Promise<void> => {
    const files = new Set<string>();
    for (const folder of await foldersOf(models, kind))
      for (const each of await readdir(folder).catch(() => []))
        if (!each.startsWith('.') && /\.safetensors$/i.test(each)) files.add(join(folder, each));
    for (const file of known.keys()) if (kindOf(file) === kind && !files.has(file)) known.delete(file);
    for (const file of [...files].sort()) {
      const stamp = await stampOf(file);
      if (stamp === undefined || known.get(file)?.stamp === stamp) continue;
      known.set(
        file,
        await read(kind, file).then(
          (found): Known => ({ stamp, found }),
          (error: unknown): Known => ({ stamp, problem: messageOf(error) }),
        ),
      );
    }
  };
  const of = (kind: AdapterKind) => {
    const all = [...known.values()].flatMap(({ found }) =>
      found && kindOf(found.file) === kind ? [found] : [],
    );
    // Of two files with one name, the one beside the models counts.
    const beside = all.filter(({ file }) => dirname(file) === join(models, kind));
    return [...beside, ...all.filter(({ card }) => !beside.some((one) => one.card.name === card.name))];
  };
  const store: AdapterStore = {
    get loras() {
      return of('loras');
    },
    get embeddings() {
      return of('embeddings');
    },
    get problems() {
      return [...known.values()].flatMap(({ problem }) => problem ?? []);
    },
    refresh: async () => {
      for (const kind of ADAPTER_KINDS) await list(kind);
    },
    find: (kind, name, sha256) => {
      const cards = of(kind).map(({ card }) => card);
      const card = cards.find((each) => each.sha256 === sha256) ?? findAdapter(cards, name);
      return card?.sha256 === sha256 ? of(kind).find((each) => each.card === card)?.file : undefined;
    },
  };
  await store.refresh();
  return store;
}

const kindOf = (file: string): string => basename(dirname(file));

/** The folders of a kind: beside the models, and in each model. */
async function foldersOf(models: string, kind: AdapterKind): Promise<string[]> {
  const entries = await readdir(models, { withFileTypes: true }).catch(() => []);
  const own = entries
    .filter((entry) => !entry.name.startsWith('.') && !ADAPTER_KINDS.some((each) => each === entry.name))
    .map(({ name }) => join(models, name, kind));
  return [join(models, kind), ...own];
}

const sidecarOf = (file: string): string => file.replace(/\.safetensors$/i, '.json');

async function stampOf(file: string): Promise<string | undefined> {
  const [own, beside] = await Promise.all(
    [file, sidecarOf(file)].map((each) => stat(each).catch(() => undefined)),
  );
  return own?.isFile() ? `${own.mtimeMs}|${own.size}|${beside?.mtimeMs ?? ''}` : undefined;
}

async function read(kind: AdapterKind, file: string): Promise<InstalledAdapter<LoraCard & EmbeddingCard>> {
  const name = adapterNameOf(file);
  if (!ADAPTER_NAME.test(name)) throw new Error(`${file}: give it a name with letters or digits.`);
  const index = await readSafetensors(file);
  const { sha256, bytes } = await hashFile(file);
  const tensors = kind === 'loras' ? await hashTensors(file) : undefined;
  const beside = await readSidecar(sidecarOf(file));
  const told: { base?: BaseName | undefined } =
    kind === 'loras' ? describeLora(index) : describeEmbedding(index);
  const card = { words: [], weight: 1, ...told, ...beside, name, sha256, ...(tensors ? { tensors } : {}) };
  return { file, bytes, card: loraCardSchema.parse(card) };
}

/** sha256 of a .safetensors file's bytes after its header, whose length is in the first eight. */
async function hashTensors(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    const start = 8 + Number(buffer.readBigUInt64LE());
    const hash = createHash('sha256');
    for await (const chunk of handle.createReadStream({ start, autoClose: false })) hash.update(chunk);
    return hash.digest('hex');
  } finally {
    await handle.close();
  }
}

/** @throws Error in one line where the file is no JSON or a value is out of range */
async function readSidecar(file: string): Promise<Sidecar> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return {};
  try {
    return sidecarSchema.parse(JSON.parse(text));
  } catch (error) {
    const why =
      error instanceof z.ZodError
        ? `${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}`
        : messageOf(error);
    throw new Error(`${file} cannot be read: ${why}`, { cause: error });
  }
}

/** Installs a file under its name, whole or not at all. */
export async function installAdapter(
  models: string,
  kind: AdapterKind,
  name: string,
  put: (to: string) => Promise<void>,
  beside: Sidecar = {},
): Promise<{ file: string; index: TensorFile }> {
  const folder = join(models, kind);
  const file = join(folder, `${name}.safetensors`);
  const staging = join(folder, `.${name}.${process.pid}.safetensors`);
  await mkdir(folder, { recursive: true });
  try {
    await put(staging);
    const index = await readSafetensors(staging);
    if (Object.keys(beside).length > 0)
      await writeFile(sidecarOf(file), `${JSON.stringify(beside, null, 2)}\n`);
    await rename(staging, file);
    return { file, index };
  } finally {
    await rm(staging, { force: true });
  }
}

export async function removeAdapter(file: string): Promise<void> {
  await rm(file);
  await rm(sidecarOf(file), { force: true });
}
