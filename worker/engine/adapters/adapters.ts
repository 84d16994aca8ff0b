/**
 * A model's LoRAs: read once, fed as factors or merged into an overlay, and opened beside the plain networks when
 * they are first needed. Weights are mapped, so another graph over them costs little memory.
 */
import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { EngineError } from '../errors.ts';
import type { Module } from '../graph/index.ts';
import { withLoraPorts } from '../onnx/exportedModules.ts';
import { type NetworkForm, openForm } from '../onnx/ownSession.ts';
import { openSession, type Session, type SessionSettings, type Value } from '../onnx/session.ts';
import { type AdaptedModule, type AdaptedNetwork, readNetwork } from './adaptedNetwork.ts';
import { type Base, baseOfModel } from './baseModel.ts';
import { type EmbeddingUse, readEmbedding, type WordEmbedding } from './embeddings.ts';
import { bytesOf, type FactorSet, factorFeeds, joinFactors, lowRankOf, type Weighted } from './factors.ts';
import { findOverlay, limitOverlays, type Merge, makeOverlay } from './overlay.ts';
import { type Changes, readChanges } from './readLora.ts';
import type { AdaptedPart } from './tensorNames.ts';
import type { TensorSource } from './tensorSource.ts';

export interface LoraUse {
  readonly source: TensorSource;
  /** Of the file, in hex; computed where left out. */
  readonly sha256?: string;
  /** The LoRA's strength; a negative one turns its effect around. */
  readonly weight: number;
}

/** What a picture's LoRAs do to one network. */
export interface PartAdaptation {
  /** Folder of the network with merged weights; undefined: the model's own. */
  readonly overlay: string | undefined;
  readonly factors: FactorSet;
}

/** Undefined: no LoRA. */
export type AdaptedRows = readonly (PartAdaptation | undefined)[];

export interface Adaptation {
  /** The same key for the same files at the same strengths in the same order. */
  readonly key: string;
  readonly parts: ReadonlyMap<AdaptedPart, PartAdaptation>;
}

export interface AdapterSettings {
  readonly session: SessionSettings;
  /** Bytes of disk for overlays. */
  readonly overlayBytes: number;
  /** Bytes of memory for factors that no painting uses at the moment. */
  readonly factorBytes: number;
}

/** Sessions over overlays that stay open. */
const mostOverlaysOpen = 4;

export class Adapters {
  readonly #dir: string;
  readonly #parts: readonly AdaptedPart[];
  /** Name and base of the model, for errors about a file that does not fit. */
  readonly #model: { readonly name: string; readonly base: Base };
  readonly #settings: AdapterSettings;
  readonly #networks = new Map<AdaptedPart, AdaptedNetwork>();
  readonly #changes = new Map<string, Changes>();
  readonly #adaptations = new Map<string, Adaptation>();
  readonly #sessions = new Map<string, Session>();

  constructor(
    dir: string,
    parts: readonly AdaptedPart[],
    unet: Readonly<Record<string, unknown>>,
    settings: AdapterSettings,
  ) {
    this.#dir = dir;
    this.#parts = parts;
    this.#model = { name: path.basename(dir), base: baseOfModel(unet, parts.includes('text_encoder_2')) };
    this.#settings = settings;
  }

  /** Every open session, for releasing and counting them. */
  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  /** The text encoders among the networks, in the family's order. */
  get textParts(): readonly AdaptedPart[] {
    return this.#parts.filter((part) => part !== 'unet');
  }

  /**
   * A word's vectors for each text encoder.
   * @param widths of the encoders' vectors
   */
  readEmbedding(use: EmbeddingUse, widths: readonly (number | undefined)[]): WordEmbedding[] {
    const known = widths.filter((width) => width !== undefined);
    return readEmbedding(use, known, this.#model);
  }

  /** A key that tells lists of embeddings apart by word and content. */
  async keyOf(embeddings: readonly EmbeddingUse[]): Promise<string> {
    const keys: string[] = [];
    for (const { token, source, sha256 } of embeddings)
      keys.push(`${JSON.stringify(token)}:${sha256 ?? (await hashOf(source.file))}`);
    return keys.join('|');
  }

  /**
   * Reads LoRAs that are not read yet, and makes the overlays that are missing.
   * @param onPrepare called with a LoRA's file before an overlay is made, which takes seconds
   * @throws EngineError('bad-adapter') for a file that does not fit, 'unsupported' for a network without layer names
   */
  async adapt(
    loras: readonly LoraUse[],
    onPrepare?: (file: string) => void,
  ): Promise<Adaptation | undefined> {
    if (loras.length === 0) return undefined;
    const known: { readonly changes: Changes; readonly id: string; readonly use: LoraUse }[] = [];
    for (const use of loras) {
      const id = use.sha256 ?? (await hashOf(use.source.file));
      known.push({ changes: this.#read(id, use.source), id, use });
    }
    const key = known.map(({ id, use }) => `${id}:${use.weight}`).join('|');
    const before = this.#adaptations.get(key);
    if (before && (await stillThere(before))) {
      this.#adaptations.delete(key);
      this.#adaptations.set(key, before);
      return before;
    }
    const parts = new Map<AdaptedPart, PartAdaptation>();
    for (const part of this.#parts) {
      const network = this.#network(part);
      const own = known.flatMap(({ changes, id, use }) => {
        const modules = changes.get(part);
        return modules ? [{ modules, id, use }] : [];
      });
      if (own.length === 0) continue;
      const factors = new Map<string, Weighted[]>();
      const merges = new Map<string, { module: Merge['module']; parts: Merge['parts'][number][] }>();
      const merged = new Set<string>();
      for (const { modules, id, use } of own)
        for (const [name, change] of modules) {
          const module = network.modules.get(name)!;
          const low = lowRankOf(change, module);
          if (low) {
            const weighted = low.map((each) => ({ change: each, strength: use.weight }));
            factors.set(name, [...(factors.get(name) ?? []), ...weighted]);
            continue;
          }
          const merge = merges.get(name) ?? { module: this.#mergeable(module, use), parts: [] };
          merge.parts.push({ change, strength: use.weight });
          merges.set(name, merge);
          merged.add(`${id}:${use.weight}`);
        }
      const overlay =
        merges.size === 0
          ? undefined
          : await this.#overlay(network, [...merges.values()], [...merged], () =>
              onPrepare?.(own.find(({ id, use }) => merged.has(`${id}:${use.weight}`))!.use.source.file),
            );
      const joined = new Map<string, Awaited<ReturnType<typeof joinFactors>>>();
      for (const [name, each] of factors)
        joined.set(name, await joinFactors(network.modules.get(name)!, each));
      parts.set(part, { overlay, factors: joined });
    }
    const adaptation = { key, parts };
    this.#adaptations.set(key, adaptation);
    this.#forget();
    return adaptation;
  }

  /**
   * The session for rows of pictures with and without LoRAs, and its feeds beyond the plain session's inputs. All rows
   * have the same overlay.
   * @param form of our own graph of Stable Diffusion's network
   * @param pictures LoRAs by picture: layers before the text in a `step` graph run once a picture
   */
  async open(
    part: AdaptedPart,
    rows: AdaptedRows,
    { form = 'whole', pictures = rows }: { form?: NetworkForm; pictures?: AdaptedRows } = {},
  ): Promise<{ session: Session; feeds: Readonly<Record<string, Value>> }> {
    const network = this.#network(part);
    const overlay = rows.find((row) => row?.overlay !== undefined)?.overlay;
    const used = new Set(rows.flatMap((row) => [...(row?.factors.keys() ?? [])]));
    const kinds = new Set([...used].map((name) => network.modules.get(name)!.port!));
    const session = await this.#open(network, overlay, kinds, form);
    return { session, feeds: this.#feeds(network, form, session, rows, pictures) };
  }

  /** The last feeds of each network: the steps of one painting need the same ones. */
  #lastFeeds = new Map<
    string,
    { session: Session; rows: AdaptedRows; pictures: AdaptedRows; feeds: Readonly<Record<string, Value>> }
  >();

  #feeds(
    network: AdaptedNetwork,
    form: NetworkForm,
    session: Session,
    rows: AdaptedRows,
    pictures: AdaptedRows,
  ): Readonly<Record<string, Value>> {
    const key = `${form}:${network.part}`;
    const last = this.#lastFeeds.get(key);
    if (last?.session === session && sameSets(last.rows, rows) && sameSets(last.pictures, pictures))
      return last.feeds;
    const sets = (all: AdaptedRows) => all.map((row) => row?.factors);
    const feeds = factorFeeds(network, session.inputs, sets(rows), sets(pictures));
    this.#lastFeeds.set(key, { session, rows, pictures, feeds });
    return feeds;
  }

  async release(): Promise<void> {
    const sessions = this.sessions;
    this.#sessions.clear();
    this.#lastFeeds.clear();
    for (const session of sessions) await session.release();
  }

  #network(part: AdaptedPart): AdaptedNetwork {
    const known =
      this.#networks.get(part) ?? readNetwork(this.#dir, part, this.#parts.includes('text_encoder_2'));
    this.#networks.set(part, known);
    return known;
  }

  #read(id: string, source: TensorSource): Changes {
    const before = this.#changes.get(id);
    if (before) return before;
    const changes = readChanges(
      source,
      this.#parts.map((part) => this.#network(part)),
      this.#model,
    );
    this.#changes.set(id, changes);
    return changes;
  }

  #mergeable(module: AdaptedModule, { source: { file } }: LoraUse): Merge['module'] {
    const { weight } = module;
    if (weight) return { ...module, weight };
    throw new EngineError(
      'unsupported',
      `${path.basename(file)} is more than pairs of factors, and ${this.#model.name} is an ONNX export, which takes no other LoRAs`,
      { file },
    );
  }

  async #overlay(
    network: AdaptedNetwork,
    merges: readonly Merge[],
    sources: readonly string[],
    onMake: () => void,
  ): Promise<string> {
    const key = createHash('sha256').update(sources.join('|')).digest('hex').slice(0, 32);
    const found = findOverlay(this.#dir, key, network.part);
    if (found) return found;
    onMake();
    const folder = await makeOverlay(this.#dir, key, network, merges);
    const inUse = new Set(
      [...this.#sessions.keys()].map((name) => path.basename(path.dirname(folderOf(name)))),
    );
    await limitOverlays(this.#dir, this.#settings.overlayBytes, new Set([...inUse, key]));
    return folder;
  }

  async #open(
    network: AdaptedNetwork,
    overlay: string | undefined,
    kinds: ReadonlySet<'linear' | 'convolution'>,
    form: NetworkForm,
  ): Promise<Session> {
    const folder = overlay ?? network.folder;
    // LoRAs on convolutions are rare, and their ports cost a little even without one, so they are opened on demand.
    const ports = kinds.has('convolution') ? 'all' : kinds.has('linear') ? 'linear' : 'none';
    const name = sessionName(folder, form, ports);
    const before = this.#sessions.get(name);
    if (before) {
      this.#sessions.delete(name);
      this.#sessions.set(name, before);
      return before;
    }
    const lora = ({ kind }: Pick<Module, 'kind'>): boolean =>
      ports === 'all' || (ports === 'linear' && kind === 'linear');
    const session = network.exported
      ? await this.#openExport(network.exported, lora)
      : await this.#openOwn(folder, form, lora);
    this.#sessions.set(name, session);
    await this.#closeOldest();
    return session;
  }

  #openOwn(folder: string, form: NetworkForm, lora: (module: Module) => boolean): Promise<Session> {
    return openForm(folder, form, this.#settings.session, { lora });
  }

  #openExport(
    { file, modules }: NonNullable<AdaptedNetwork['exported']>,
    lora: (module: Module) => boolean,
  ): Promise<Session> {
    return openSession(file, this.#settings.session, withLoraPorts(file, modules.filter(lora)));
  }

  async #closeOldest(): Promise<void> {
    const ofOverlays = [...this.#sessions].filter(([name]) => !this.#isOwn(folderOf(name)));
    for (const [name, session] of ofOverlays.slice(0, -mostOverlaysOpen * (this.#parts.length + 1))) {
      this.#sessions.delete(name);
      await session.release();
    }
  }

  #isOwn(folder: string): boolean {
    return path.dirname(folder) === path.normalize(this.#dir);
  }

  /** Drops factors beyond the limit: reading them again from the file takes less time than a step. */
  #forget(): void {
    const sizes = [...this.#adaptations].map(([key, { parts }]) => ({
      key,
      bytes: [...parts.values()].reduce((sum, { factors }) => sum + bytesOf(factors), 0),
    }));
    let total = sizes.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { key, bytes } of sizes.slice(0, -1)) {
      if (total <= this.#settings.factorBytes) return;
      this.#adaptations.delete(key);
      total -= bytes;
    }
  }
}

const sessionName = (folder: string, form: NetworkForm, ports: string): string =>
  `${form}-${ports}:${folder}`;
const folderOf = (name: string): string => name.slice(name.indexOf(':') + 1);

/** Whether the overlays still exist: another worker may have deleted one. */
async function stillThere({ parts }: Adaptation): Promise<boolean> {
  for (const { overlay } of parts.values()) {
    if (overlay === undefined) continue;
    const there = await access(path.join(overlay, 'weights.json')).then(
      () => true,
      () => false,
    );
    if (!there) return false;
  }
  return true;
}

/** Whether two lists of rows have the same factors. */
const sameSets = (a: AdaptedRows, b: AdaptedRows): boolean =>
  a.length === b.length && a.every((row, i) => row?.factors === b[i]?.factors);

const hashes = new Map<string, string>();

/** sha256 of a file in hex; an unchanged file is hashed once. */
async function hashOf(file: string): Promise<string> {
  const { mtimeMs, size } = statSync(file);
  const name = `${file}|${mtimeMs}|${size}`;
  const known = hashes.get(name);
  if (known) return known;
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(bytes as Buffer);
  const hex = hash.digest('hex');
  hashes.set(name, hex);
  return hex;
}
