import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { chromiumPath, launch, type Visit, visit } from './browser.ts';
import { request } from './rest.ts';
import { picture, type ScriptedBot, startBot } from './scriptedBot.ts';

/** Runs in the page: a file falls on it, or is pasted into the command line. */
const give = (how: 'drop' | 'paste'): string => `{
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array([1])], '${how}.png', { type: 'image/png' }));
  const where = document.querySelector('[data-testid=composer]');
  if ('${how}' === 'drop') where.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
  else where.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}`;

/** Runs in the page: clicks (`.selector`) and keys in one task, so that nothing is drawn between them. */
const KEYS = `globalThis.keys = (steps) => {
  for (const step of steps)
    if (step.startsWith('.')) document.querySelector(step).click();
    else document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: step, bubbles: true, cancelable: true }));
}`;

describe.skipIf(!chromiumPath)(
  `the page${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let browser: Browser;
    let pg: Playground;
    let bot: ScriptedBot;
    let visits: Visit[] = [];
    beforeAll(async () => {
      browser = await launch();
      pg = await startPlayground();
      bot = await startBot(pg);
    });
    afterEach(async () => {
      const complaints = visits.flatMap((v) => v.complaints);
      for (const v of visits) await v.page.context().close();
      visits = [];
      expect(complaints).toEqual([]);
      expect(bot.errors).toEqual([]);
      expect(pg.violations).toEqual([]);
    });
    afterAll(async () => {
      await browser?.close();
      await bot?.stop();
      await pg?.close();
    });

    const open = async (as = 'member', size?: { width: number; height: number }): Promise<Page> => {
      const v = await visit(browser, pg, as, size);
      visits.push(v);
      return v.page;
    };
    const composer = (page: Page) => page.getByTestId('composer');
    const last = (page: Page) => page.getByTestId('message').last();
    async function imagine(page: Page, prompt: string): Promise<void> {
      await composer(page).fill(`/imagine ${prompt}`);
      await composer(page).press('Enter');
      await last(page).getByText(`${prompt} - `).waitFor();
      await last(page).getByRole('button', { name: 'V4' }).waitFor();
    }

    test('an empty channel offers three prompts, and one click paints', async () => {
      const page = await open();
      await expect.poll(() => page.getByTestId('first-prompt').count()).toBe(3);
      await page.getByTestId('first-prompt').first().click();
      await last(page).getByRole('button', { name: 'U1' }).waitFor();
      await expect
        .poll(() => last(page).getByTestId('command-header').textContent())
        .toMatch(/Mai\s+used\s+\/imagine/);
      await expect.poll(() => last(page).getByText('(edited)').count()).toBe(1);
    });

    test('the rest of the line is the prompt, also with its name before it', async () => {
      const page = await open();
      await imagine(page, 'a fox: in the snow, seed: 5');
      await composer(page).fill('/imagine prompt: a red fox');
      await composer(page).press('Enter');
      await last(page).getByText('a red fox - ').waitFor();
      await expect.poll(() => composer(page).inputValue()).toBe('');
    });

    test('typing goes to the command line, also when a button has the focus', async () => {
      const page = await open();
      await imagine(page, 'a fox');
      await last(page).getByRole('button', { name: 'U1' }).focus();
      await page.keyboard.type('hello');
      await expect.poll(() => composer(page).inputValue()).toBe('hello');
    });

    test('keyboard only: slash, arrows, Tab, Enter, Esc', async () => {
      const page = await open();
      await page.keyboard.press('/');
      await page.getByTestId('picker').waitFor();
      await expect.poll(() => page.getByTestId('picker-option').first().textContent()).toContain('/imagine');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await expect.poll(() => composer(page).inputValue()).toBe('/model name: ');
      await page.keyboard.type('sd1');
      await page.getByTestId('picker-option').getByText('sd15').waitFor();
      await page.keyboard.press('Tab');
      await expect.poll(() => composer(page).inputValue()).toBe('/model name: sd15');
      await page.keyboard.press('Tab');
      await expect.poll(() => composer(page).inputValue()).toBe('/model name: sd15 steps: ');
      await page.keyboard.type('99');
      await page.keyboard.press('Enter');
      await expect
        .poll(() => page.getByTestId('composer-error').textContent())
        .toBe('steps: Must be 50 or less.');
      await page.keyboard.press('Backspace');
      await page.keyboard.press('Backspace');
      await page.keyboard.type('20');
      await page.keyboard.press('Tab');
      await page.keyboard.type('rel');
      await page.keyboard.press('Enter');
      await expect.poll(() => composer(page).inputValue()).toBe('/model name: sd15 steps: 20 lane: Relax');
      await page.keyboard.press('Enter');
      await last(page).getByText('model [["name","sd15"],["steps",20],["lane","relax"]]').waitFor();
      await page.keyboard.type('/');
      await page.getByTestId('picker').waitFor();
      await page.keyboard.press('Escape');
      await page.getByTestId('picker').waitFor({ state: 'detached' });
      await page.keyboard.press('Escape');
      await expect.poll(() => composer(page).inputValue()).toBe('');
    });

    test('what Discord would refuse is refused here, and a subcommand runs', async () => {
      const page = await open();
      await composer(page).fill('/imagine ');
      await composer(page).press('Enter');
      await expect
        .poll(() => page.getByTestId('composer-error').textContent())
        .toContain('This option is required');
      await composer(page).fill('/model sd15 lane: warp');
      await composer(page).fill('/model name: sd15 lane: warp');
      await composer(page).press('Enter');
      await expect
        .poll(() => page.getByTestId('composer-error').textContent())
        .toContain('Pick one of the choices');
      await composer(page).fill('/pre');
      await composer(page).press('Enter');
      await composer(page).press('Enter');
      await expect.poll(() => composer(page).inputValue()).toBe('/prefer suffix ');
      await page.keyboard.type('text: --ar 2:3');
      await composer(page).press('Enter');
      await last(page).getByText('--ar 2:3').waitFor();
    });

    test('keys that come before the next frame: one message for two Enters, Escape shuts what just opened', async () => {
      const page = await open();
      await page.evaluate(KEYS);
      const keys = (...steps: string[]) => page.evaluate(`keys(${JSON.stringify(steps)})`);
      const before = await page.getByTestId('message').count();
      await composer(page).fill('only once');
      await keys('Enter', 'Enter');
      await last(page).getByText('only once').waitFor();
      await composer(page).fill('and then this');
      await composer(page).press('Enter');
      await last(page).getByText('and then this').waitFor();
      expect(await page.getByTestId('message').count()).toBe(before + 2);
      await imagine(page, 'a lighthouse');
      await composer(page).fill('kept');
      await keys('.picture', 'Escape');
      await composer(page).press('End');
      await expect.poll(() => page.getByRole('dialog').count()).toBe(0);
      expect(await composer(page).inputValue()).toBe('kept');
    });

    test('buttons, a modal, a lightbox, a reply line', async () => {
      const page = await open();
      await imagine(page, 'a lighthouse');
      const grid = last(page);
      const id = (await grid.getAttribute('data-message-id'))!;
      await grid.getByRole('button', { name: 'a lighthouse' }).click();
      await page.getByRole('dialog', { name: 'a lighthouse' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.locator(`#m-${id}`).getByRole('button', { name: 'U3' }).click();
      await last(page).getByText('Image #3').waitFor();
      await last(page).getByTestId('reply-line').waitFor();
      await page.locator(`#m-${id}`).getByRole('button', { name: '🔄' }).last().click();
      const dialog = page.getByRole('dialog', { name: 'Remix' });
      await dialog.getByLabel('Prompt').fill('');
      await dialog.getByRole('button', { name: 'Submit' }).click();
      await expect.poll(() => dialog.count()).toBe(1);
      await dialog.getByLabel('Prompt').fill('two lighthouses');
      await dialog.getByRole('button', { name: 'Submit' }).click();
      await last(page).getByText('Remixed: two lighthouses').waitFor();
    });

    test('a file by the button, by paste and by drop', async () => {
      const page = await open();
      await composer(page).fill('/imagine prompt: from a picture');
      await page
        .getByTestId('file-image')
        .setInputFiles({ name: 'start.png', mimeType: 'image/png', buffer: await picture('#112233') });
      await page.getByTestId('file-chip').getByText('start.png').waitFor();
      await composer(page).press('Enter');
      await last(page).getByText('from a picture - ').waitFor();
      const run = pg.messages().at(-1)!;
      expect(run.content).toContain('from a picture');
      await composer(page).fill('/imagine prompt: from a drop');
      await page.evaluate(give('drop'));
      await page.getByTestId('file-chip').getByText('drop.png').waitFor();
      await page.getByTestId('file-chip').getByRole('button').click();
      await page.evaluate(give('paste'));
      await page.getByTestId('file-chip').getByText('paste.png').waitFor();
    });

    test('two people at once: ephemeral answers and direct messages stay apart', async () => {
      const [mai, linh] = [await open('member'), await open('stranger')];
      await composer(mai).fill('/info');
      await composer(mai).press('Enter');
      await last(mai).getByTestId('ephemeral').waitFor();
      await imagine(linh, 'seen by both');
      await last(mai).getByText('seen by both').waitFor();
      expect(await linh.getByText('Your info').count()).toBe(0);
      const ephemeral = mai.getByTestId('message').filter({ hasText: 'Your info' });
      await ephemeral.getByRole('button', { name: 'Choose a lane' }).click();
      await mai.getByRole('option', { name: /Relax/ }).click();
      await mai.getByText('Lane: relax').waitFor();
      await mai
        .getByTestId('message')
        .filter({ hasText: 'Lane: relax' })
        .getByRole('button', { name: 'Dismiss message' })
        .click();
      await mai.getByText('Lane: relax').waitFor({ state: 'detached' });
      const dm = await request(pg, 'POST', `/channels/${pg.dm(pg.users.member)}/messages`, {
        content: 'four pictures and the seed',
      });
      expect(dm.status).toBe(200);
      await mai.getByTestId('channel-dm').getByLabel('1 unread').waitFor();
      await mai.getByTestId('channel-dm').click();
      await last(mai).getByText('four pictures and the seed').waitFor();
      await linh.getByTestId('channel-dm').click();
      expect(await linh.getByText('four pictures').count()).toBe(0);
      await linh.getByTestId('user-switch').selectOption('member');
      await linh.getByTestId('channel-dm').click();
      await last(linh).getByText('four pictures and the seed').waitFor();
      expect(linh.url()).toContain('as=member');
    });

    test('right click, Apps, a message command; a reaction', async () => {
      const page = await open();
      await imagine(page, 'to inspect');
      await last(page).getByText('to inspect').click({ button: 'right' });
      await page.getByRole('menuitem', { name: 'Apps' }).click();
      await page.getByRole('menuitem', { name: 'Show recipe' }).click();
      await last(page)
        .getByText(/^Recipe of \d+/)
        .waitFor();
      const painted = page.getByTestId('message').filter({ hasText: 'to inspect' }).last();
      await painted.hover();
      await painted.getByRole('button', { name: 'Add reaction ❤️' }).click();
      await painted.getByRole('button', { name: '❤️ 1' }).waitFor();
    });

    test('thinking, and no answer at all', async () => {
      const page = await open();
      await composer(page).fill('/imagine think');
      await composer(page).press('Enter');
      await last(page).getByText('Dreamgrid is thinking…').waitFor();
      await composer(page).fill('/imagine silence');
      await composer(page).press('Enter');
      await page.getByTestId('failed').getByText('The application did not respond').waitFor();
    });

    test('Vietnamese: the page, the descriptions and the locale of the interaction', async () => {
      const page = await open('stranger');
      await page.getByTestId('locale').selectOption('vi');
      await composer(page).fill('/ima');
      await page.getByText('Vẽ tranh từ lời mô tả').waitFor();
      await page.getByPlaceholder('Nhắn #pictures').waitFor();
      await page.getByTestId('locale').selectOption('en-US');
    });

    test('360 px wide: nothing sticks out, the channels are behind a button', async () => {
      const page = await open('member', { width: 360, height: 740 });
      await imagine(page, 'on a small screen');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
      await expect.poll(() => page.getByTestId('channel-dm').isVisible()).toBe(false);
      await page.getByRole('button', { name: 'Channels' }).click();
      await page.getByTestId('channel-dm').click();
      await page.getByRole('heading', { name: 'Dreamgrid', level: 1 }).waitFor();
    });

    test('under the hood: requests as they came, trouble on demand', async () => {
      const page = await open();
      await page.getByTestId('hood').click();
      await page.getByTestId('requests').getByRole('button').first().waitFor();
      await page.getByRole('button', { name: '500 on the next 2' }).click();
      await imagine(page, 'through trouble');
      await page.getByTestId('requests').getByText('500').first().waitFor();
    });
  },
);

describe.skipIf(!chromiumPath)('the page and its server', () => {
  let browser: Browser;
  let folder: string;
  beforeAll(async () => {
    browser = await launch();
    folder = await mkdtemp(join(tmpdir(), 'playground-page-'));
  });
  afterAll(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('comes back by itself after a restart and shows what it missed, once', async () => {
    const statePath = join(folder, 'state.json');
    const first = await startPlayground({ statePath });
    const port = Number(new URL(first.url).port);
    const { page } = await visit(browser, first);
    first.say(first.users.stranger, 'before');
    await page.getByText('before').waitFor();
    await first.close();
    await page.getByTestId('offline').waitFor();
    const second = await startPlayground({ statePath, port });
    second.say(second.users.stranger, 'missed');
    await page.getByText('missed').waitFor();
    expect(await page.getByTestId('message').all()).toHaveLength(2);
    await expect.poll(() => page.getByTestId('offline').count()).toBe(0);
    await page.context().close();
    await second.close();
  });

  test('a page from elsewhere cannot drive it', async () => {
    const pg = await startPlayground();
    const answer = await fetch(`${pg.url}/`, { headers: { origin: 'http://evil.example' } });
    expect(answer.status).toBe(403);
    await pg.close();
    const wide = await startPlayground({ host: '0.0.0.0' });
    expect((await fetch(`${wide.url}/`)).status).toBe(403);
    expect((await fetch(wide.pageUrl)).status).toBe(200);
    await wide.close();
  });
});
