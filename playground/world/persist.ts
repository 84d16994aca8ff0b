import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TOKEN_LIFE_MS } from '../discord/interactions.ts';
import type { World } from './state.ts';
import type { Channel, Command, Interaction, Message } from './types.ts';

/** History on disk: one JSON file, written beside and renamed, and one file an attachment next to it. */

interface Saved {
  version: 1;
  signKey: string;
  channels: Channel[];
  messages: Message[];
  interactions: Interaction[];
  globalCommands: Command[];
  guildCommands: Command[];
  attachmentTypes: [string, string][];
}

const PAUSE_MS = 150;
const MOST_PAUSE_MS = 5_000;

async function writeAtomically(path: string, data: string | Buffer): Promise<void> {
  const beside = `${path}.tmp`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}

export class Persistence {
  private readonly world: World;
  private readonly path: string;
  private readonly folder: string;
  private dirty = false;
  private saving: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly written = new Set<string>();
  /** Milliseconds that the last save took. */
  private tookMs = 0;

  constructor(world: World, path: string) {
    this.world = world;
    this.path = path;
    this.folder = `${path}.files`;
    this.world.on((event) => {
      if (event.type !== 'request' && event.type !== 'gateway') this.touch();
    });
  }

  /** Loads the history; a damaged file is renamed, and the playground starts empty. */
  async load(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.path, 'utf8');
    } catch {
      return;
    }
    let saved: Saved;
    try {
      saved = JSON.parse(text) as Saved;
      if (saved.version !== 1) throw new Error('unknown version');
    } catch {
      await rename(this.path, `${this.path}.damaged`);
      return;
    }
    const { world } = this;
    world.signSecret.key = saved.signKey;
    for (const channel of saved.channels) world.addChannel(channel);
    for (const message of saved.messages) {
      world.messages.set(message.id, message);
      world.order.get(message.channelId)?.push(message.id);
    }
    for (const interaction of saved.interactions) {
      // Interactions that waited when the server stopped are never answered.
      if (interaction.state === 'waiting') interaction.state = 'failed';
      world.interactions.set(interaction.id, interaction);
      world.byToken.set(interaction.token, interaction);
    }
    world.globalCommands = saved.globalCommands;
    world.guildCommands = saved.guildCommands;
    for (const [id, type] of saved.attachmentTypes) {
      const data = await readFile(join(this.folder, id)).catch(() => undefined);
      if (!data) continue;
      world.files.set(id, data);
      world.attachmentTypes.set(id, type);
      this.written.add(id);
    }
    this.dirty = false;
  }

  /** Saves after a while: all is written anew each time, so a long history is saved less often. */
  private touch(): void {
    this.dirty = true;
    const pause = Math.max(PAUSE_MS, Math.min(MOST_PAUSE_MS, 10 * this.tookMs));
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      // A full disk does not end the process: the next change tries again.
      this.save().catch((error) => console.error(`playground: the history is not saved: ${error.message}`));
    }, pause);
  }

  async save(): Promise<void> {
    if (this.saving) {
      await this.saving;
      if (!this.dirty) return;
    }
    const began = performance.now();
    this.saving = this.write().finally(() => {
      this.saving = undefined;
      this.tookMs = performance.now() - began;
    });
    await this.saving;
  }

  private async write(): Promise<void> {
    this.dirty = false;
    const { world } = this;
    await mkdir(dirname(this.path), { recursive: true });
    await mkdir(this.folder, { recursive: true });
    const now = world.clock.now();
    const types = [...world.attachmentTypes];
    // The JSON names the attachment files, so these are written first.
    for (const [id, data] of [...world.files]) {
      if (this.written.has(id)) continue;
      await writeAtomically(join(this.folder, id), data);
      this.written.add(id);
    }
    const saved: Saved = {
      version: 1,
      signKey: world.signSecret.key,
      channels: [...world.channels.values()],
      messages: [...world.order.values()]
        .flat()
        .map((id) => world.messages.get(id)!)
        .filter((m) => m.onlyFor === undefined),
      interactions: [...world.interactions.values()].filter((i) => now - i.createdAt < TOKEN_LIFE_MS),
      globalCommands: world.globalCommands,
      guildCommands: world.guildCommands,
      attachmentTypes: types,
    };
    await writeAtomically(this.path, JSON.stringify(saved));
    for (const id of this.written) {
      if (world.files.has(id)) continue;
      await rm(join(this.folder, id), { force: true });
      this.written.delete(id);
    }
    if (this.dirty) this.touch();
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.save();
    clearTimeout(this.timer);
    for (const name of await readdir(this.folder).catch(() => [] as string[]))
      if (!this.world.files.has(name)) await rm(join(this.folder, name), { force: true });
  }
}
