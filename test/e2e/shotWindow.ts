import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';

/** A window of the page whose pictures go into `docs/images/`, made small with sharp. */
export const OUT = resolve(import.meta.dirname, '../../docs/images');
const MOST_BYTES = 250_000;
const PAINT_MS = 300_000;
const WIDE = { width: 1180, height: 760 };

/** @param name with `.webp` behind it, a lossy picture for a page of many; else a PNG */
async function save(name: string, png: Buffer): Promise<void> {
  if (name.endsWith('.webp')) {
    const small = await sharp(png).webp({ quality: 82, effort: 6 }).toBuffer();
    await writeFile(join(OUT, name), small);
    console.log(`${name}  ${(small.length / 1000).toFixed(0)} kB`);
    return;
  }
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
export class Window {
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
  async shotOf(name: string, message: Locator, width = 600): Promise<void> {
    await message.scrollIntoViewIfNeeded();
    await this.settle();
    const box = (await message.boundingBox())!;
    const clip = { x: box.x, y: Math.max(48, box.y - 12), width, height: box.height + 24 };
    await save(name, await this.page.screenshot({ clip }));
  }
}
