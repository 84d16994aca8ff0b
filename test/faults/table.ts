import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The faults that the system must survive, and what is expected of it. The tests name their row. */
export const FAULTS: readonly (readonly [fault: string, outcome: string])[] = [
  ['worker SIGKILL mid-step', 'another finishes within 20 s; 1 message; at most 2 GPU runs'],
  ['SIGKILL after saving, before the ack', 'no second GPU run; 1 message'],
  [
    'engine process crashes or is killed for memory',
    'parent told in ms; one retry after restart; then the user is told; restart backs off',
  ],
  ['engine hangs', 'deadline, SIGKILL, as 3'],
  ['SIGTERM during a job', 'no new jobs; the current one finishes, or at the deadline is given back; exit 0'],
  ['poison job', 'at most 3 starts, then a failure message; the queue goes on'],
  ['Redis restart with a job running', 'completes once, within 5 s of its return'],
  ['Redis away longer than the lock', 'may compute twice, 1 message'],
  ['Redis away at the click', '"try again" within 3 s, nothing queued, no crash'],
  ['silent partition to Redis', 'recovers by itself within 60 s; readiness red meanwhile'],
  ['Redis full, or its disk full', 'refused with a message; readiness red; recovers without a restart'],
  ['Redis without password or with eviction (production)', 'refuses to start'],
  ['Discord 429 on an edit', 'waits as told; a single final edit; progress edits dropped, not queued up'],
  ['Discord 500 or time-outs, ten in a row', 'delivery alone retries; 1 message; GPU once'],
  ['answer lost after a successful create', '1 message'],
  ['token expired', 'edit by message id; REST keeps its bot token'],
  ['message or channel deleted meanwhile', 'ends quietly; reservation released'],
  ['permission lost', 'one attempt there, then a direct message to its owner, else logged'],
  ['the same interaction delivered twice, or two bots', '1 job, 1 message'],
  ['bot killed while 20 jobs run', 'all 20 delivered'],
  [
    'button of a deleted or ancient message, unknown version, forged id',
    'an ephemeral answer, or repainted from the recipe',
  ],
  ['someone else’s button', 'one documented policy; cancel and delete only by the owner or a moderator'],
  ['ten clicks a second', '1 job, an ephemeral notice'],
  ['10,000 characters; 1 MB of combining marks; only spaces', 'UserError with the limit'],
  [
    'zero-width, bidi override, tag characters, NUL',
    'stripped (emoji joiners stay); one line, no reordering',
  ],
  ['`@everyone`, roles, masked links, backticks', 'no ping on any create or edit; markdown escaped'],
  [
    'image prompt at inner addresses, by redirect, by rebinding',
    'refused; literal checked, lookup pinned, each hop checked',
  ],
  [
    '30,000 x 30,000 PNG, SVG, GIF bomb, polyglot, truncated',
    'refused before decoding; only png, jpeg, webp loaders',
  ],
  ['corrupt model file, missing weights, a way out of the folder', 'refused at start, naming the file'],
  [
    'disk full, read-only volume',
    'transient failure, clear message; no partial file visible; `*.tmp` removed at start',
  ],
  ['GPU out of memory', 'engine restarts, one retry, then "too large for this GPU"'],
  ['NaN or a black picture', 'detected, one retry in a safer type, else a failure message'],
  ['clocks ten minutes apart', 'nothing lost'],
  ['log leak', 'planted canaries found in no log'],
  ['job data of another version, hand-edited, `__proto__`', 'refused by schema'],
  [
    '1,000 /imagine in a minute by one user',
    'cap message; others wait no longer than before, give or take one job',
  ],
];

export interface RowTest {
  row: number;
  /** Below `test/`. */
  file: string;
  /** As written in the source; `%s` stands for each case. */
  name: string;
}

const tests = resolve(import.meta.dirname, '..');

/** Every test that names a row, in the order of the rows. */
export function findRowTests(): RowTest[] {
  const found: RowTest[] = [];
  const files = readdirSync(tests, { recursive: true, encoding: 'utf8' });
  for (const file of files.filter((name) => name.endsWith('.test.ts'))) {
    const source = readFileSync(join(tests, file), 'utf8');
    for (const [, row, rest] of source.matchAll(/(?<!report(?:Within)?\()'row (\d+): ((?:[^'\\]|\\.)*)'/g))
      found.push({ row: Number(row), file, name: (rest as string).replaceAll("\\'", "'") });
  }
  return found.sort((a, b) => a.row - b.row || a.file.localeCompare(b.file));
}

/** docs/reliability.md, whose table is between two marks. */
export const PAGE = join(tests, '../docs/reliability.md');
const TABLE = /(?<=<!-- faults:begin -->\n)[\s\S]*?(?=\n<!-- faults:end -->)/;

/** How a test is named in the table; its result follows. */
const cell = ({ name, file }: RowTest): string => `${name} (\`${file}\`)`.replaceAll('|', '\\|');

/** What the table on the page says of each test. */
export function readResults(page: string): Map<string, string> {
  const cells = (TABLE.exec(page)?.[0] ?? '').split('\n').flatMap((row) => {
    const last = row.replace(/ \|$/, '').lastIndexOf(' | ');
    return row.slice(last + 3, -2).split('<br>');
  });
  return new Map(
    cells.flatMap((text) => {
      const [, test, result] = /^(.+\(`.+`\)): (.+)$/.exec(text) ?? [];
      return test && result ? [[test, result] as const] : [];
    }),
  );
}

/**
 * The page with its table made anew: rows and names from the tests' source.
 * @param resultOf what came of a test, undefined where it was not run now: what the page says of it stays
 */
export function writeTable(page: string, resultOf: (test: RowTest) => string | undefined): string {
  const known = readResults(page);
  const found = findRowTests();
  const rows = FAULTS.map(([fault, outcome], i) => {
    const own = found.filter(({ row }) => row === i + 1);
    const results = own.map(
      (test) => `${cell(test)}: ${resultOf(test) ?? known.get(cell(test)) ?? 'not run'}`,
    );
    return `| ${i + 1} | ${fault} | ${outcome} | ${results.join('<br>')} |`;
  });
  const head = [
    '| # | fault | expected | tests, and how each ended when it was run last |',
    '|---|---|---|---|',
  ];
  return page.replace(TABLE, () => [...head, ...rows].join('\n'));
}
