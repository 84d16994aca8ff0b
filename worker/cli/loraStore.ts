import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ADAPTER_NAME, adapterNameOf, BASES, findAdapter } from '../../shared/picture/lora.ts';
import { type AdapterKind, installAdapter, openAdapterStore, removeAdapter } from '../models/adapterStore.ts';
import { download } from '../models/hub/download.ts';
import { StoreError } from '../models/hub/errors.ts';
import { formatBytes } from '../models/hub/formatUnits.ts';
import { hubFrom } from '../models/hub/http.ts';
import { openBar } from '../models/hub/progressBar.ts';
import { findFile, isAddress } from '../models/hub/singleAddress.ts';
import { agree, type Call, command, one, stoppable } from './modelCommand.ts';
import { pathFromUser } from './usage.ts';

/** `dreamgrid loras …`, `dreamgrid embeddings …`: two folders of one store. */
const usageOf = (kind: AdapterKind): string => `dreamgrid ${kind} [list]                    what is installed
dreamgrid ${kind} add FILE|URL [--as NAME]   take a .safetensors in, from the disk or by its address (CIVITAI_TOKEN)
dreamgrid ${kind} remove NAME [--yes]        delete it
                 [--json]                with each of them: answer in JSON`;

const add = (kind: AdapterKind) =>
  command(usageOf(kind), { as: { type: 'string' } }, async (call) => {
    const from = one(call.words, 'file or address');
    const bar = openBar(process.stderr);
    const { file, name } = await stoppable((signal) =>
      isAddress(from) ? fetch(from, signal) : local(),
    ).finally(bar.end);
    const store = await openAdapterStore(call.models);
    const found = store[kind].find((each) => each.file === file);
    const problem = store.problems.find((text) => text.includes(file));
    if (!found) throw new StoreError('damaged', problem ?? `${file} cannot be read.`);
    const { base, words, weight } = { words: [], weight: 1, ...found.card };
    const facts = [
      base ? BASES[base] : 'base not said',
      ...(words.length > 0 ? [`words: ${words.join(', ')}`] : []),
    ];
    const how = kind === 'loras' ? `<lora:${name}:${weight}>` : name;
    call.say({ ...found.card, file }, `${name} is installed (${facts.join('; ')}). In a prompt: ${how}`);
    return 0;

    function nameFor(called: string): string {
      const chosen = (call.flags['as'] as string | undefined) ?? adapterNameOf(called);
      if (!ADAPTER_NAME.test(chosen))
        throw new StoreError(
          'usage',
          `"${chosen}" is no name: letters, digits, . _ + and -; give one with --as.`,
        );
      return chosen;
    }

    async function local() {
      const path = pathFromUser(from);
      const chosen = nameFor(path);
      await refuseTaken(call, kind, chosen);
      return {
        name: chosen,
        ...(await installAdapter(call.models, kind, chosen, (to) =>
          copyFile(path, to).catch(unreadable(path)),
        )),
      };
    }

    async function fetch(address: string, signal: AbortSignal) {
      const hub = hubFrom(process.env, signal);
      const there = await findFile(hub, address);
      const chosen = nameFor(there.called);
      await refuseTaken(call, kind, chosen);
      const [remote] = there.files;
      const put = async (to: string): Promise<void> => {
        const folder = join(dirname(to), `.fetch-${chosen}`);
        await download(there.source(hub), remote!, folder, (done) => bar.show(chosen, done, remote!.bytes));
        await rename(join(folder, remote!.path), to);
        await rm(folder, { recursive: true, force: true });
      };
      return { name: chosen, ...(await installAdapter(call.models, kind, chosen, put)) };
    }
  });

const unreadable =
  (path: string) =>
  (error: unknown): never => {
    throw new StoreError('usage', `${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`, {
      cause: error,
    });
  };

async function refuseTaken({ models }: Call, kind: AdapterKind, name: string): Promise<void> {
  const store = await openAdapterStore(models);
  const taken = findAdapter(
    store[kind].map(({ card }) => card),
    name,
  );
  if (!taken) return;
  throw new StoreError(
    'exists',
    `There is ${taken.name} already: dreamgrid ${kind} remove ${taken.name}, or give another name with --as.`,
  );
}

const list = (kind: AdapterKind) =>
  command(usageOf(kind), {}, async ({ models, words, say, note }) => {
    if (words.length > 0) throw new StoreError('usage', `There is no command "${kind} ${words[0]}".`);
    const store = await openAdapterStore(models);
    const lines = store[kind].map(({ card, bytes }) => {
      const {
        base,
        words: wake = [],
        weight,
      } = { weight: 1, ...card } as typeof card & { words?: string[]; weight?: number };
      return [card.name, base ? BASES[base] : '–', formatBytes(bytes), `${weight}`, wake.join(', ')]
        .join('  ')
        .trimEnd();
    });
    say(
      {
        root: join(models, kind),
        [kind]: store[kind].map(({ card, file, bytes }) => ({ ...card, file, bytes })),
        problems: store.problems,
      },
      lines.join('\n') || `There is nothing in ${join(models, kind)}.`,
    );
    for (const problem of store.problems) note(problem);
    return store.problems.length > 0 ? 1 : 0;
  });

const remove = (kind: AdapterKind) =>
  command(usageOf(kind), { yes: { type: 'boolean' } }, async (call) => {
    const wanted = one(call.words, 'name');
    const store = await openAdapterStore(call.models);
    const card = findAdapter(
      store[kind].map((each) => each.card),
      wanted,
    );
    const found = store[kind].find((each) => each.card === card);
    if (!card || !found) {
      const names = store[kind].map((each) => each.card.name).join(', ');
      throw new StoreError(
        'not-found',
        `There is no "${wanted}" in ${join(call.models, kind)}${names ? ` (there are: ${names})` : ''}.`,
      );
    }
    if (!(await agree(call, `Delete ${card.name} (${formatBytes(found.bytes)})?`))) return 1;
    await removeAdapter(found.file);
    call.say(
      { removed: card.name, bytes: found.bytes },
      `${card.name} is deleted. Pictures painted with it cannot be painted again.`,
    );
    return 0;
  });

export const adapterCommands =
  (kind: AdapterKind) =>
  async (args: string[]): Promise<number> => {
    const [name = '', ...rest] = args;
    const commands: Record<string, (args: string[]) => Promise<number>> = {
      add: add(kind),
      list: list(kind),
      remove: remove(kind),
    };
    return Object.hasOwn(commands, name) ? commands[name]!(rest) : list(kind)(args);
  };
