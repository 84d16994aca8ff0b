import { existsSync } from 'node:fs';
import { copyStore } from '../../shared/picture/copyStore.ts';
import { openStoreAt, parsePlace, printPlace, type StorePlace } from '../../shared/picture/openStore.ts';
import { StoreAwayError } from '../../shared/picture/store.ts';
import { readEnv } from '../../shared/service/env.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { openProgressBar } from './progressBar.ts';
import { pathFromUser, readArgs, UsageError } from './usage.ts';

const USAGE =
  'dreamgrid store copy <folder | s3://bucket/prefix> <the other> [--compare] [--mirror] [--json]';

/** `store copy`: pictures from a folder into a bucket, or back; a second run continues the first. */
export async function store(args: string[]): Promise<number> {
  const [what, ...rest] = args;
  if (what !== 'copy')
    throw new UsageError(`store: expected copy; got ${JSON.stringify(what ?? '')}. Usage: ${USAGE}`);
  const options = {
    compare: { type: 'boolean', default: false },
    mirror: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  } as const;
  const { values, positionals } = readArgs(rest, options, USAGE);
  const [from, to, ...more] = positionals.map(placeFromUser);
  if (!from || !to || more.length > 0)
    throw new UsageError(`store copy takes two places; got ${positionals.length}. Usage: ${USAGE}`);
  if (printPlace(from) === printPlace(to)) throw new UsageError('store copy: both places are the same.');

  if (from.kind === 'folder' && !existsSync(from.path))
    throw new UsageError(`store copy: there is no folder ${from.path}.`);
  const env = readEnv();
  const [source, target] = [await openStoreAt(from, env), await openStoreAt(to, env)];
  const bar = openProgressBar();
  try {
    const report = await copyStore(source, target, {
      compare: values.compare,
      mirror: values.mirror,
      onProgress: ({ copied, kept, vanished }, total) => bar.update(copied + kept + vanished, total),
    }).finally(() => bar.done());
    const { copied, kept, vanished, removed, bytes } = report;
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ from: printPlace(from), to: printPlace(to), ...report })}\n`
        : `${copied} files copied and read back (${(bytes / 1e6).toFixed(1)} MB), ${kept} there before` +
            `${removed > 0 ? `, ${removed} removed that the source has not` : ''}` +
            `${vanished > 0 ? `, ${vanished} vanished meanwhile` : ''}.\n`,
    );
    return 0;
  } catch (error) {
    if (error instanceof StoreAwayError)
      throw new ConfigError(
        `${messageOf(error)}. What is copied is kept: the same command goes on from there.`,
      );
    throw error;
  }
}

function placeFromUser(text: string): StorePlace {
  const place = parsePlace(text);
  return place.kind === 'folder' ? { kind: 'folder', path: pathFromUser(place.path) } : place;
}
