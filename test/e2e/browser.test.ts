import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, launch, type Visit, visit } from '../playground/browser.ts';
import { type NpmStart, npmStart } from '../support/npmStart.ts';

/**
 * What a visitor does: `npm start`, a page, /imagine, the buttons; then everything is restarted. Real Redis, bot,
 * worker and `pocket`, in a real browser. Screenshots lie in `test/e2e/shots/` afterwards.
 */
const SHOTS = join(import.meta.dirname, 'shots');
const PAINT_MS = 180_000;

describe.skipIf(!chromiumPath)(
  `a visitor's hour${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let home: string;
    let run: NpmStart;
    let browser: Browser;
    let v: Visit;
    let page: Page;
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'dreamgrid-home-'));
      await mkdir(SHOTS, { recursive: true });
      [run, browser] = [npmStart(home), await launch()];
      v = await visit(browser, { url: await run.ready });
      page = v.page;
      page.setDefaultTimeout(PAINT_MS);
    });
    afterEach(() => expect(v.complaints).toEqual([]));
    afterAll(async () => {
      await browser?.close();
      await run?.stop();
      await rm(home, { recursive: true, force: true });
    });

    const shot = (name: string) => page.screenshot({ path: join(SHOTS, `${name}.png`) });
    const last = () => page.getByTestId('message').last();
    const byId = (id: string) => page.locator(`[data-message-id="${id}"]`);
    const press = (message: Locator, name: string | RegExp) =>
      message.getByRole('button', { name, exact: true }).click();
    const idOf = async (message: Locator): Promise<string> =>
      (await message.getAttribute('data-message-id')) as string;
    /** Of the loaded picture, in its own pixels; 0 while it loads. */
    const width = (of: Locator): Promise<number> =>
      of.locator('.picture img').evaluate((el) => (el as unknown as { naturalWidth: number }).naturalWidth);
    /** The message that comes after `before` messages, finished: its last row of buttons is there. */
    const answer = async (before: number, button: string | RegExp): Promise<Locator> => {
      const message = page.getByTestId('message').nth(before);
      await message.getByRole('button', { name: button, exact: true }).waitFor();
      await expect.poll(() => width(message), { timeout: 30_000 }).toBeGreaterThan(0);
      return byId(await idOf(message));
    };
    const count = () => page.getByTestId('message').count();

    let grid: string;

    test('/imagine: waiting, a preview that clears up, the grid in the same message', {
      timeout: 300_000,
    }, async () => {
      await shot('first-run');
      await page.getByTestId('composer').fill('/imagine a fox in the snow at night --quality 4');
      await page.getByTestId('composer').press('Enter');
      const painting = page.getByTestId('message').filter({ hasText: /\d+%/ });
      await painting.locator('.picture img').waitFor();
      const id = await idOf(painting);
      await shot('painting');
      const done = await answer(0, 'V4');
      grid = await idOf(done);
      expect(grid).toBe(id);
      expect(await done.textContent()).not.toMatch(/\d+%/);
      await expect.poll(() => done.getByRole('button', { name: /^[UV][1-4]$/ }).count()).toBe(8);
      await shot('grid');
    });

    test('U2, V3, 🔄, upscale, vary: each answers with its picture', { timeout: 600_000 }, async () => {
      await press(byId(grid), 'U2');
      const single = await idOf(await answer(1, /Vary \(Subtle\)/));
      await expect.poll(() => byId(single).textContent()).toContain('Image #2');
      await shot('single');
      await press(byId(grid), 'V3');
      await answer(2, 'V4');
      await press(byId(grid), '🔄');
      await answer(3, 'V4');
      await press(byId(single), /Upscale \(Subtle\)/);
      const upscaled = await answer(4, /Vary \(Subtle\)/);
      await shot('upscaled');
      expect(await width(upscaled)).toBeGreaterThanOrEqual(await width(byId(single)));
      await press(byId(single), /Vary \(Subtle\)/);
      await answer(5, 'V4');
      await shot('varied');
      expect(await count()).toBe(6);
    });

    test('the panel: lanes, pace, the recipe of a clicked picture, the guide', async () => {
      await page.getByTestId('hood').click();
      await page.getByTestId('health').getByText('Worker: ready').waitFor();
      for (const lane of ['turbo', 'fast', 'relax'])
        await expect.poll(() => page.locator(`[data-lane=${lane}] td`).allTextContents()).toEqual(['0', '0']);
      await page
        .getByTestId('pace')
        .getByText(/\d steps\/s/)
        .waitFor();
      await byId(grid).locator('.picture').click();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      const recipe = page.getByTestId('recipe').first();
      await recipe.getByText('a fox in the snow at night').first().waitFor();
      await expect.poll(() => recipe.textContent()).toMatch(/pocket/);
      await shot('panel');
      const [guide] = await Promise.all([
        page.context().waitForEvent('page'),
        page.getByTestId('guide').click(),
      ]);
      await guide.getByRole('heading', { level: 1 }).waitFor();
      await expect.poll(() => guide.locator('table').count()).toBeGreaterThan(0);
      expect(new URL(guide.url()).hostname).toBe('127.0.0.1');
      await guide.screenshot({ path: join(SHOTS, 'guide.png') });
      await guide.close();
    });

    test('the worker is killed in the middle of a picture: the page says so, and the picture comes', {
      timeout: 300_000,
    }, async () => {
      const before = await count();
      await page.getByTestId('composer').fill('/imagine a lighthouse on a cliff --quality 4');
      await page.getByTestId('composer').press('Enter');
      const painting = page.getByTestId('message').nth(before);
      await painting.getByText(/\d+%/).waitFor();
      await page.locator('[data-lane=fast].now').waitFor();
      await shot('panel-painting');
      const killed = run.said(/worker +ended \(SIGKILL\)/);
      await page.getByTestId('kill-worker').click();
      await killed;
      await page.getByTestId('worker-note').waitFor();
      await shot('worker-killed');
      const done = await answer(before, 'V4');
      expect(await done.textContent()).not.toMatch(/\d+%/);
      expect(await count()).toBe(before + 1);
      await page.getByTestId('worker-note').waitFor({ state: 'detached' });
      await page.getByTestId('hood').click();
    });

    test('after everything was restarted the open page comes back, and an old button works', {
      timeout: 300_000,
    }, async () => {
      const before = await count();
      const port = new URL(page.url()).port;
      expect(await run.stop()).toBe(0);
      await page.getByTestId('offline').waitFor();
      await shot('offline');
      run = npmStart(home, { PLAYGROUND_PORT: port });
      expect(new URL(await run.ready).port).toBe(port);
      await page.getByTestId('offline').waitFor({ state: 'detached' });
      // What the browser says of the refused connections is not the page's complaint.
      v.complaints.splice(0, v.complaints.length, ...v.complaints.filter((c) => !/ERR_CONNECTION/.test(c)));
      expect(await count()).toBe(before);
      await press(byId(grid), 'U4');
      const single = await answer(before, /Vary \(Subtle\)/);
      await expect.poll(() => single.textContent()).toContain('Image #4');
      await shot('after-restart');
      await expect.poll(() => last().getByRole('alert').count()).toBe(0);
    });
  },
);
