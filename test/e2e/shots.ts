/**
 * `npm run shots [-- SECTION…]`: the pictures of the page in `docs/images/`, taken in a real browser from `npm start`'s
 * own processes and made small with sharp. Looks at nothing: whoever runs it looks at the pictures.
 */
import { cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { addModel } from '../../worker/models/hub/add.ts';
import { chromiumPath, launch } from '../playground/browser.ts';
import { npmStart } from '../support/npmStart.ts';
import { sourceOf } from '../worker/engine/unclip/models.ts';
import { takeLoras } from './loraShots.ts';
import { takeMeaning } from './meaningShots.ts';
import { takePage } from './pageShots.ts';
import { OUT } from './shotWindow.ts';

const MOST_IN_ALL = 1_500_000;
const MODELS = resolve(import.meta.dirname, '../../models');
const OWN = 'pocket-unclip';

/** Each from a fresh start, in a folder of its own. */
const SECTIONS: Readonly<Record<string, (browser: Browser, home: string) => Promise<void>>> = {
  page: (browser, home) => started(home, {}, (url) => takePage(browser, url)),
  loras: (browser, home) => started(home, {}, (url) => takeLoras(browser, url)),
  meaning: async (browser, home) => {
    const { models, name } = await withReader(home);
    await started(home, { MODELS_DIR: models }, (url) => takeMeaning(browser, url, home, name));
  },
};

async function started(
  home: string,
  env: Record<string, string>,
  take: (url: string) => Promise<void>,
): Promise<void> {
  const run = npmStart(home, env);
  try {
    await take(await run.ready);
  } finally {
    await run.stop();
  }
}

/** A folder with a model that reads pictures: ours, or until it is there one of random weights, to prove the way. */
async function withReader(home: string): Promise<{ models: string; name: string }> {
  const own = await stat(join(MODELS, OWN)).catch(() => undefined);
  if (own) return { models: MODELS, name: OWN };
  const models = join(home, 'models');
  await cp(join(MODELS, 'pocket'), join(models, 'pocket'), { recursive: true });
  await addModel(models, sourceOf('karlo'), 'tiny-unclip', { link: false });
  console.log(`${OWN} is not there: the pictures of "meaning" are noise, and not for the documents`);
  return { models, name: 'tiny-unclip' };
}

async function take(browser: Browser, section: string): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'dreamgrid-shots-'));
  try {
    await SECTIONS[section]?.(browser, home);
  } finally {
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
