/**
 * `npm run shots [-- SECTION…]`: the pictures of the page in `docs/images/`, taken in a real browser from `npm start`'s
 * own processes and made small with sharp. Looks at nothing: whoever runs it looks at the pictures.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { chromiumPath, launch } from '../playground/browser.ts';
import { npmStart } from '../support/npmStart.ts';
import { takeLoras } from './loraShots.ts';
import { takePage } from './pageShots.ts';
import { OUT } from './shotWindow.ts';

const MOST_IN_ALL = 1_500_000;
/** Each from a fresh start. */
const SECTIONS: Readonly<Record<string, (browser: Browser, url: string) => Promise<void>>> = {
  page: takePage,
  loras: takeLoras,
};

async function take(browser: Browser, section: string): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'dreamgrid-shots-'));
  const run = npmStart(home);
  try {
    await SECTIONS[section]?.(browser, await run.ready);
  } finally {
    await run.stop();
    await rm(home, { recursive: true, force: true });
  }
}

if (!chromiumPath) {
  console.error('No chromium is installed: there is nothing to take pictures with.');
  process.exit(2);
}
const asked = process.argv.slice(2);
const unknown = asked.find((name) => !Object.hasOwn(SECTIONS, name));
if (unknown !== undefined) {
  console.error(`There is no section ${unknown}; there are ${Object.keys(SECTIONS).join(', ')}.`);
  process.exit(2);
}
await mkdir(OUT, { recursive: true });
const browser = await launch();
try {
  for (const section of asked.length > 0 ? asked : Object.keys(SECTIONS)) await take(browser, section);
} finally {
  await browser.close();
}
const sizes = await Promise.all((await readdir(OUT)).map(async (name) => (await stat(join(OUT, name))).size));
const sum = sizes.reduce((a, b) => a + b, 0);
console.log(`${sizes.length} pictures, ${(sum / 1000).toFixed(0)} kB`);
if (sum > MOST_IN_ALL) throw new Error(`docs/images holds more than ${MOST_IN_ALL} bytes`);
