/**
 * `npm run bench [-- start|imagine|engine|load|batching|cluster|import …]`: measures, never asserts. Figures that belong
 * together come from one run; machines are noisy, so read the ratios and not the third digit.
 */
import { benchBatching } from './batching.ts';
import { benchCluster } from './cluster.ts';
import { benchEngine } from './engine.ts';
import { benchImagine } from './imagine.ts';
import { benchImport } from './import/bench.ts';
import { benchLoad } from './load.ts';
import { benchStart } from './start.ts';

const benches: Record<string, () => Promise<void>> = {
  start: benchStart,
  imagine: benchImagine,
  engine: benchEngine,
  load: benchLoad,
  batching: benchBatching,
  cluster: benchCluster,
  import: benchImport,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in benches));
if (unknown.length > 0) {
  console.error(`Unknown benchmark ${unknown.join(', ')}; expected ${Object.keys(benches).join(', ')}.`);
  process.exit(2);
}
for (const [name, bench] of Object.entries(benches)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`\n## ${name}\n`);
  await bench();
}
process.exit(0);
