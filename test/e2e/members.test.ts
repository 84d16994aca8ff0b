import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { chromiumPath, launch, type Visit, visit } from '../playground/browser.ts';
import { type NpmStart, npmStart } from '../support/npmStart.ts';

/**
 * What members type and click, each once, by hand in the page: all commands, all buttons, forms, reactions and
 * message apps; three of them in Vietnamese; the moderator's. Real Redis, bot, worker and `pocket`; a suffix keeps
 * each picture to a few steps. Screenshots lie in `test/e2e/shots/members/` afterwards.
 */
const SHOTS = join(import.meta.dirname, 'shots', 'members');
const PAINT_MS = 120_000;
const LONG = { timeout: 900_000 };

describe.skipIf(!chromiumPath)(
  `a member's day${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let home: string;
    let run: NpmStart;
    let browser: Browser;
    let mai: Visit;
    let page: Page;
    let picture: string;
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'dreamgrid-home-'));
      await mkdir(SHOTS, { recursive: true });
      picture = join(home, 'blue.png');
      const blue = sharp({ create: { width: 256, height: 256, channels: 3, background: '#3377cc' } });
      await writeFile(picture, await blue.png().toBuffer());
      [run, browser] = [npmStart(home), await launch()];
      mai = await visit(browser, { url: await run.ready });
      page = mai.page;
      page.setDefaultTimeout(PAINT_MS);
    });
    afterEach(() => expect(mai.complaints).toEqual([]));
    afterAll(async () => {
      await browser?.close();
      await run?.stop();
      await rm(home, { recursive: true, force: true });
    });

    const shot = (name: string) => page.screenshot({ path: join(SHOTS, `${name}.png`) });
    const idsOn = (on: Page): Promise<string[]> =>
      on
        .getByTestId('message')
        .evaluateAll((all) => all.map((el) => el.getAttribute('data-message-id') ?? ''));

    /** Does something and gives the message that comes of it. */
    async function newMessage(act: () => Promise<unknown>, on = page): Promise<Locator> {
      const before = await idsOn(on);
      await act();
      let id: string | undefined;
      await expect
        .poll(
          async () => {
            id = (await idsOn(on)).find((one) => !before.includes(one));
            return id;
          },
          { timeout: 60_000 },
        )
        .toBeDefined();
      return on.locator(`[data-message-id="${id}"]`);
    }

    async function type(line: string, files: Record<string, string> = {}, on = page): Promise<void> {
      const composer = on.getByTestId('composer');
      await composer.fill(`${line} `);
      for (const [name, file] of Object.entries(files))
        await on.getByTestId(`file-${name}`).setInputFiles(file);
      await composer.press('Enter');
      // Where a list of choices is open, the first Enter takes the marked one.
      if ((await composer.inputValue()) !== '') await composer.press('Enter');
    }
    const say = (line: string, files?: Record<string, string>, on?: Page) =>
      newMessage(() => type(line, files, on), on);
    const button = (message: Locator, name: string | RegExp) =>
      message.locator('.components').getByRole('button', { name, exact: true });
    const press = (message: Locator, name: string | RegExp) =>
      newMessage(async () => {
        await message.scrollIntoViewIfNeeded();
        await button(message, name).click();
      });
    const form = () => page.getByRole('dialog');
    const submit = (text?: string) =>
      newMessage(async () => {
        if (text !== undefined) await form().getByRole('textbox').fill(text);
        await form().getByRole('button', { name: 'Submit' }).click();
      });

    /** Finished: a grid has V4, one picture has Vary; and the file has come to the page. */
    async function painted(message: Locator, titled: RegExp): Promise<Locator> {
      await button(message, /^V4$|Vary \(Subtle\)/).waitFor();
      expect(await message.locator('.markup').first().textContent()).toMatch(titled);
      await expect
        .poll(() =>
          message
            .locator('.picture img')
            .evaluate((el) => (el as unknown as { naturalWidth: number }).naturalWidth),
        )
        .toBeGreaterThan(0);
      return message;
    }
    const told = async (message: Locator, what: RegExp): Promise<void> => {
      await expect.poll(() => message.textContent(), { timeout: 60_000 }).toMatch(what);
      expect(await message.getAttribute('data-ephemeral')).toBe('true');
    };
    const app = (message: Locator, name: string) =>
      newMessage(async () => {
        await message.scrollIntoViewIfNeeded();
        await message
          .locator('.markup')
          .first()
          .click({ button: 'right', position: { x: 5, y: 5 } });
        await page.getByRole('menuitem', { name: 'Apps' }).click();
        await page.getByRole('menuitem', { name }).click();
      });
    const react = async (message: Locator, emoji: string): Promise<void> => {
      await message.hover();
      await message.getByRole('button', { name: `Add reaction ${emoji}` }).click();
    };

    let grid: Locator;
    let single: Locator;

    test('commands that answer at once, to oneself alone', LONG, async () => {
      for (const [line, answer] of [
        ['/prefer option set option: mine value: in oil', /--mine now stands for: in oil/],
        ['/prefer option list', /--mine = in oil/],
        ['/prefer suffix new_value: --quality .25', /Behind every prompt of yours: --quality \.25/],
        ['/prefer remix', /Remix is on/],
        ['/prefer remix', /Remix is off/],
        ['/prefer variability', /stay close/],
        ['/prefer variability', /go far/],
        ['/prefer auto_dm', /also come by direct message/],
        ['/prefer auto_dm', /no longer come/],
        ['/turbo', /turbo lane/],
        ['/relax', /relaxed lane/],
        ['/fast', /fast lane/],
        ['/stealth', /Only you see your pictures/],
        ['/public', /Everyone in the channel/],
        ['/models', /pocket/],
        ['/help', /How to paint/],
        ['/info', /Fast · Public[\s\S]*0 so far/],
        ['/settings', /Your settings/],
        ['/mydata export', /dreamgrid\.json/],
        ['/show job_id: 1190000000000000000', /Job not found/],
      ] as const)
        await told(await say(line), answer);
      await shot('commands');
    });

    test('/imagine, then U and V of each picture, and 🔄', LONG, async () => {
      grid = await painted(
        await say('/imagine a fox in the snow --mine'),
        /^a fox in the snow in oil .*Mai \(fast\)/s,
      );
      const made: [Locator, RegExp][] = [];
      for (const at of [1, 2, 3, 4]) made.push([await press(grid, `U${at}`), new RegExp(`Image #${at} Mai`)]);
      for (const at of [1, 2, 3, 4]) made.push([await press(grid, `V${at}`), /Variations \(Strong\) by/]);
      made.push([await press(grid, '🔄'), /^a fox in the snow in oil/]);
      for (const [message, titled] of made) await painted(message, titled);
      single = (made[1] as [Locator, RegExp])[0];
      await shot('grid');
    });

    test('every button under one picture', LONG, async () => {
      const made: [Locator, RegExp][] = [];
      for (const [name, titled] of [
        [/Upscale \(Subtle\)/, /Upscaled \(Subtle\) by/],
        [/Upscale \(Creative\)/, /Upscaled \(Creative\) by/],
        [/Vary \(Subtle\)/, /Variations \(Subtle\) by/],
        [/Vary \(Strong\)/, /Variations \(Strong\) by/],
        [/Zoom Out 2x/, /Zoom Out by/],
        [/Zoom Out 1\.5x/, /Zoom Out by/],
        ['⬅️', /Pan Left by/],
        ['➡️', /Pan Right by/],
        ['⬆️', /Pan Up by/],
        ['⬇️', /Pan Down by/],
      ] as const)
        made.push([await press(single, name), titled]);
      for (const [message, titled] of made) await painted(message, titled);
      await told(await press(single, '❤️'), /Kept/);

      const wide = (made[6] as [Locator, RegExp])[0];
      const widened = await painted(await press(wide, 'U1'), /Image #1/);
      await painted(await press(widened, /Make Square/), /Make Square by/);

      const picker = await press(single, /Vary \(Region\)/);
      await told(picker, /Choose the parts/);
      const cells = picker.locator('.components .btn');
      for (const [n, at] of [0, 1, 4, 5].entries()) {
        await cells.nth(at).click();
        await expect.poll(() => picker.locator('.components .btn', { hasText: '🖌️' }).count()).toBe(n + 1);
      }
      await shot('region');
      await button(picker, 'Paint these parts').click();
      await form().waitFor();
      await painted(await submit('a moon over the snow'), /a moon over the snow.*Variations \(Region\) by/s);

      await button(single, /Custom Zoom/).click();
      await form().waitFor();
      expect(await form().getByRole('textbox').inputValue()).toMatch(/--zoom 1\.5$/);
      await painted(await submit('a fox in the snow --ar 2:1 --zoom 1'), /--ar 2:1.*Zoom Out by/s);
      await shot('custom-zoom');
    });

    test('Remix asks for the prompt first; what is wrong in it is mended there', LONG, async () => {
      await told(await say('/prefer remix'), /Remix is on/);
      await button(grid, 'V2').click();
      await form().waitFor();
      expect(await form().getByRole('textbox').inputValue()).toMatch(/^a fox in the snow in oil/);
      await shot('remix');
      const refused = await submit('a cat in the snow --chos 5');
      await told(refused, /Did you mean --chaos/);
      await button(refused, 'Fix it').click();
      await form().waitFor();
      await painted(await submit(), /a cat in the snow --chaos 5.*Variations \(Strong\) by/s);
      await told(await say('/prefer remix'), /Remix is off/);
    });

    test('every problem at once, Fix it, and a permutation that is asked about', LONG, async () => {
      const refused = await say('/imagine a fox --stilize 50 --chaos 999 --ar 1.39:1');
      await told(
        refused,
        /\^{9}[\s\S]*Did you mean --stylize[\s\S]*between 0 and 100 with --model pocket[\s\S]*139:100/,
      );
      await shot('error');
      await button(refused, 'Fix it').click();
      await form().waitFor();
      await painted(await submit('a fox --stylize 50 --chaos 100'), /--chaos 100 .*--stylize 50/s);

      const question = await say('/imagine a {red, green} bird');
      await told(question, /This makes 2 jobs\. Go\?[\s\S]*a red bird[\s\S]*a green bird/);
      await shot('permutation');
      const first = await press(question, 'Yes');
      const green = page.getByTestId('message').filter({ hasText: 'a green bird' }).last();
      await painted(first, /a red bird/);
      await painted(green, /a green bird/);
    });

    test('Cancel, ❌, ✉️ and the message apps', LONG, async () => {
      for (const stop of ['Cancel', '❌', 'app'] as const) {
        const job = await say('/imagine a castle on a hill --quality 4');
        if (stop === 'Cancel') await button(job, /Cancel/).click();
        else if (stop === '❌') await react(job, stop);
        else await told(await app(job, 'Cancel Job'), /Cancelled/);
        await job.getByText('(Cancelled)').waitFor();
      }
      await told(await app(grid, 'Inspect'), /How it was painted[\s\S]*pocket[\s\S]*dpmpp-2m/);
      await shot('inspect');
      await told(await app(grid, 'DM Results'), /Sent by direct message/);
      await react(single, '✉️');
      await page.getByTestId('channel-dm').click();
      await expect.poll(() => page.locator('.attachments img').count(), { timeout: 60_000 }).toBe(5);
      await expect.poll(() => page.getByText(/Seeds: #1/).count()).toBe(2);
      await shot('direct-messages');
      await page.getByTestId('channel-guild').click();
    });

    test('commands about pictures', LONG, async () => {
      const file = join(home, 'grid.png');
      const address = await grid.locator('.picture img').getAttribute('src');
      const bytes = Buffer.from(await (await fetch(new URL(address as string, page.url()))).arrayBuffer());
      await writeFile(file, bytes);

      const described = await say('/describe', { image: file });
      await button(described, /Imagine all/).waitFor();
      await shot('describe');
      await painted(await press(described, '1️⃣'), /Mai \(fast\)/);
      const shortened = await say('/shorten a very beautiful painting of a red fox in the deep white snow');
      await button(shortened, /Imagine all/).waitFor();
      await shot('shorten');
      await painted(
        await say('/blend', { image1: file, image2: picture }),
        /a blend of 2 pictures.*Blend by/s,
      );
      await shot('blend');
      // Pocket reads no pictures so.
      await told(await say('/reword should: a fox at night', { image: file }), /No model here can reword/);
      const inspected = await say('/inspect', { image: file });
      await told(inspected, /a fox in the snow in oil/);
      await button(inspected, 'Run again').click();
      await form().waitFor();
      expect(await form().getByRole('textbox').inputValue()).toMatch(/--seed \d+/);
      await page.keyboard.press('Escape');
      await told(await say('/inspect', { image: picture }), /Nothing to read/);

      await painted(await say('/compare prompt: a fox in the snow samplers: euler-a, ddim'), /euler-a/);
      const sheet = page.getByTestId('message').filter({ hasText: 'Compare by' }).last();
      await sheet.locator('.picture img').waitFor();
      expect(await sheet.locator('.markup').first().textContent()).toMatch(/1 euler-a · 2 ddim/);
      await shot('compare');

      const child = page.getByTestId('message').filter({ hasText: 'Variations (Subtle) by' }).last();
      const link = `https://discord.com/channels/1/1/${await child.getAttribute('data-message-id')}`;
      expect(link).toMatch(/\d{17,19}$/);
      const id = /_(\d{17,19})\.png/.exec(
        (await child.locator('.picture img').getAttribute('src')) ?? '',
      )?.[1];
      const shown = await painted(await say(`/show job_id: ${id}`), /Variations \(Subtle\) by/);
      expect(await shown.textContent()).toMatch(
        /Family[\s\S]*Grid[\s\S]*#2 → Upscaled \(Subtle\)[\s\S]*this one/,
      );
      expect(await shown.locator('.embed a, discord-embed a').count()).toBeGreaterThanOrEqual(2);
      await shot('show');
    });

    test('three of them in Vietnamese', LONG, async () => {
      const linh = await visit(browser, { url: new URL(page.url()).origin }, 'stranger');
      linh.page.setDefaultTimeout(PAINT_MS);
      const shotOfLinh = (name: string) => linh.page.screenshot({ path: join(SHOTS, `${name}.png`) });
      await told(await say('/trợ-giúp', {}, linh.page), /[ạ-ỹ]/i);
      await shotOfLinh('vi-help');
      await told(await say('/cài-đặt', {}, linh.page), /Cài đặt của bạn/);
      await shotOfLinh('vi-settings');
      await painted(await say('/vẽ a sunflower --quality .25', {}, linh.page), /Linh \(nhanh\)/);
      await shotOfLinh('vi-grid');
      expect(linh.complaints).toEqual([]);
      await linh.page.context().close();
    });

    test('the owner sets up, blocks and lets in again', LONG, async () => {
      const owner = await visit(browser, { url: new URL(page.url()).origin }, 'owner');
      await told(await say('/dreamgrid setup', {}, owner.page), /Dreamgrid on this server/);
      await owner.page.screenshot({ path: join(SHOTS, 'setup.png') });
      await told(await say('/dreamgrid block member: Mai', {}, owner.page), /cannot paint here any more/);
      await told(await say('/imagine a fox'), /Painting is off for you here/);
      await told(await say('/dreamgrid unblock member: Mai', {}, owner.page), /can paint here again/);
      await owner.page.context().close();
    });

    test('/mydata erase takes every picture away', LONG, async () => {
      const question = await say('/mydata erase');
      await told(question, /Erase everything\?/);
      await shot('erase');
      await button(question, 'Erase everything').click();
      await question.getByText(/Erased: \d+ jobs/).waitFor();
      await expect
        .poll(() =>
          page
            .locator('[data-testid=message]:not([data-ephemeral=true])')
            .filter({ has: page.locator('.picture') })
            .allInnerTexts(),
        )
        .toEqual([expect.stringContaining('Linh')]);
      await told(await say('/info'), /0 so far/);
    });
  },
);
