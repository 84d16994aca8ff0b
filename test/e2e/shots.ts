/**
 * `npm run shots`: the pictures of the page in `docs/images/`, taken in a real browser from `npm start`'s own
 * processes and made small with sharp. Looks at nothing: whoever runs it looks at the pictures.
 */
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { chromiumPath, launch } from '../playground/browser.ts';
import { npmStart } from '../support/npmStart.ts';

const OUT = resolve(import.meta.dirname, '../../docs/images');
const MOST_BYTES = 250_000;
const MOST_IN_ALL = 1_500_000;
const PAINT_MS = 300_000;
const WIDE = { width: 1180, height: 760 };
const PROMPT = 'a fox in the snow at night';

async function save(name: string, png: Buffer): Promise<void> {
  for (const colours of [256, 192, 128, 64]) {
    const small = await sharp(png).png({ palette: true, colours, effort: 10, dither: 0.6 }).toBuffer();
    if (small.length > MOST_BYTES) continue;
    await writeFile(join(OUT, `${name}.png`), small);
    console.log(`${name}.png  ${(small.length / 1000).toFixed(0)} kB`);
    return;
  }
  throw new Error(`${name}.png stays over ${MOST_BYTES} bytes`);
}

/** One person's window; its pictures are of the whole page, or of the channel alone. */
class Window {
  readonly page: Page;
  constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(PAINT_MS);
  }
  static async open(browser: Browser, url: string, as: string, viewport = WIDE): Promise<Window> {
    // `settle` polls an expression in the page, which the page's own policy forbids.
    const seen = { locale: 'en-US', reducedMotion: 'reduce', bypassCSP: true } as const;
    const context = await browser.newContext({ viewport, ...seen });
    const page = await context.newPage();
    await page.goto(`${url}/?as=${as}`);
    await page.getByTestId('composer').waitFor();
    return new Window(page);
  }
  async run(line: string): Promise<Locator> {
    const before = await this.page.getByTestId('message').count();
    await this.page.getByTestId('composer').fill(line);
    await this.page.getByTestId('composer').press('Enter');
    return this.page.getByTestId('message').nth(before);
  }
  async press(message: Locator, button: string | RegExp): Promise<Locator> {
    const before = await this.page.getByTestId('message').count();
    await message.getByRole('button', { name: button, exact: true }).click();
    return this.page.getByTestId('message').nth(before);
  }
  /** At the end of the channel, with every picture loaded and the pointer out of the way. */
  private async settle(): Promise<void> {
    await this.page.mouse.move(0, 0);
    await this.page.waitForFunction('[...document.images].every((i) => i.complete && i.naturalWidth)');
  }
  async shot(name: string): Promise<void> {
    await this.settle();
    await save(name, await this.page.screenshot());
  }
  /** The message, as wide as a phone in landscape: two stand side by side in the README. */
  async shotOf(name: string, message: Locator): Promise<void> {
    await this.settle();
    const box = (await message.boundingBox())!;
    const clip = { x: box.x, y: Math.max(48, box.y - 12), width: 600, height: box.height + 24 };
    await save(name, await this.page.screenshot({ clip }));
  }
}

/** The message with a picture that is at least 30 % painted. */
async function halfPainted(mai: Window): Promise<Locator> {
  for (let seed = 7; ; seed++) {
    const message = await mai.run(`/imagine ${PROMPT} --seed ${seed} --quality 2`);
    const halfway = message.filter({ hasText: /\((?:[3-8]\d)%\)/ }).locator('.picture img');
    const done = message.getByRole('button', { name: 'V4', exact: true });
    await halfway.or(done).first().waitFor();
    if ((await halfway.count()) > 0) return message;
  }
}

async function takeAll(browser: Browser, url: string): Promise<void> {
  const mai = await Window.open(browser, url, 'member');
  await mai.page.getByTestId('first-prompt').first().waitFor();
  await mai.shot('first-run');
  await mai.page.getByTestId('composer').fill('/');
  await mai.page.getByTestId('picker').waitFor();
  await mai.shot('picker');
  await mai.page.getByTestId('composer').fill('');

  const painting = await halfPainted(mai);
  await mai.shotOf('progress', painting);
  await painting.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.shotOf('grid', painting);
  const single = await mai.press(painting, 'U2');
  await single.getByRole('button', { name: /Vary \(Subtle\)/ }).waitFor();
  await mai.shot('upscaled');

  await (await mai.run('/imagine a lighthouse on a cliff --stilize 50')).getByTestId('ephemeral').waitFor();
  await mai.shot('error');
  await (await mai.run('/settings')).getByTestId('ephemeral').waitFor();
  await mai.shot('settings');

  await mai.page.getByTestId('hood').click();
  const next = await mai.run('/imagine two penguins in the snow --quality 2');
  await next.getByText(/\d+%/).waitFor();
  await mai.page.locator('[data-lane].now').waitFor();
  await mai.page.getByTestId('pace').getByText(/steps/).waitFor();
  await mai.shot('panel');
  await mai.page.getByTestId('hood').click();
  await next.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await mai.page.getByTestId('theme').click();
  await mai.shot('light');

  const narrow = await Window.open(browser, url, 'member', { width: 360, height: 740 });
  await narrow.shot('narrow');
  const linh = await Window.open(browser, url, 'stranger');
  const sunflower = await linh.run('/imagine a sunflower in the garden, oil painting');
  await sunflower.getByRole('button', { name: 'V4', exact: true }).waitFor();
  await linh.page.getByTestId('composer').fill('/v');
  await linh.page.getByTestId('picker').waitFor();
  await linh.shot('vietnamese');
}

if (!chromiumPath) {
  console.error('No chromium is installed: there is nothing to take pictures with.');
  process.exit(2);
}
const home = await mkdtemp(join(tmpdir(), 'dreamgrid-shots-'));
await mkdir(OUT, { recursive: true });
const run = npmStart(home);
const browser = await launch();
try {
  await takeAll(browser, await run.ready);
} finally {
  await browser.close();
  await run.stop();
  await rm(home, { recursive: true, force: true });
}
const sizes = await Promise.all((await readdir(OUT)).map(async (name) => (await stat(join(OUT, name))).size));
const sum = sizes.reduce((a, b) => a + b, 0);
console.log(`${sizes.length} pictures, ${(sum / 1000).toFixed(0)} kB`);
if (sum > MOST_IN_ALL) throw new Error(`docs/images holds more than ${MOST_IN_ALL} bytes`);
