import { parseArgs } from 'node:util';
import { playStorm } from './storm.ts';

/** `npm run storm -- [--jobs 1000] [--seed 1] [--minutes 60] [--workers 2] [--people 24] [--bucket] [--samples 400]`: ends with 1 where anything was lost or doubled. */
const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string', default: '1440' },
    workers: { type: 'string', default: '2' },
    people: { type: 'string', default: '24' },
    bucket: { type: 'boolean', default: false },
    samples: { type: 'string', default: '400' },
  },
});
const number = (name: Exclude<keyof typeof values, 'bucket'>): number => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value > 0) return value;
  console.error(`--${name}: expected a whole number above 0; got ${JSON.stringify(values[name])}.`);
  process.exit(2);
};

const seed = number('seed');
console.log(`A storm of ${values.jobs} jobs, seed ${seed}\n`);
const { wrong, figures, troubles } = await playStorm({
  jobs: number('jobs'),
  seed,
  minutes: number('minutes'),
  workers: number('workers'),
  people: number('people'),
  samples: number('samples'),
  bucket: values.bucket,
  long: true,
  log: (line) => console.log(`  ${line}`),
});
const table = (title: string, rows: Record<string, number>): void => {
  console.log(`\n| ${title} | |\n|---|---|`);
  for (const [name, value] of Object.entries(rows)) console.log(`| ${name} | ${value} |`);
};
table('what came of it', figures);
table('what struck', troubles);
console.log(wrong.length === 0 ? '\nNothing lost, nothing doubled.' : `\n${wrong.length} wrong:`);
for (const line of wrong) console.log(`  ${line}`);
process.exit(wrong.length === 0 ? 0 : 1);
