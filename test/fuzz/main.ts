import { parseArgs } from 'node:util';
import { targets } from './fuzz.ts';

/** `npm run fuzz -- [--minutes 10] [--seed 1] [custom-ids|jobs|pngs|foreign|gateway …]`: ends with 1 where something broke. */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const unknown = positionals.filter((name) => !(name in targets));
if (unknown.length > 0 || !(Number(values.minutes) > 0) || !Number.isInteger(Number(values.seed))) {
  console.error(`Expected --minutes above 0, a whole --seed and any of ${Object.keys(targets).join(', ')}.`);
  process.exit(2);
}
let wrong = 0;
for (const [name, fuzz] of Object.entries(targets)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const { attempts, broken } = await fuzz(Number(values.seed), Number(values.minutes) * 60_000);
  console.log(
    `${name}: ${attempts} attempts in ${values.minutes} min, seed ${values.seed}; ${broken.length} broke`,
  );
  for (const what of broken) console.log(`  ${what}`);
  wrong += broken.length;
}
process.exit(wrong === 0 ? 0 : 1);
