import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { chromiumPath, launch, type Visit, visit } from './browser.ts';
import { request } from './rest.ts';
import { type ScriptedBot, startBot } from './scriptedBot.ts';
import { slowClock } from './slowClock.ts';

/** Selects of words, people, roles and channels, menus on people, forms with selects; and the second channel. */
let pg: Playground;
let bot: ScriptedBot;
beforeAll(async () => {
  pg = await startPlayground({ clock: slowClock });
  bot = await startBot(pg);
});
afterEach(() => {
  expect(bot.errors).toEqual([]);
  expect(pg.violations).toEqual([]);
});
afterAll(async () => {
  await bot?.stop();
  await pg?.close();
});

describe('by the protocol, read by discord.js', () => {
  const setup = async () => (await pg.run(pg.users.owner, 'setup')).message!;
  const pick = async (id: string, custom: string, values: string[]) => {
    const handle = await pg.click(pg.users.owner, id, custom, { values });
    expect(handle.callbackType).toBe(7);
    return pg.message(id)!.content.split('\n').at(-1);
  };

  test('people, roles, both and channels arrive with the objects behind their ids', async () => {
    const { id } = await setup();
    const { member, stranger } = pg.users;
    const { moderator, artist } = pg.roles;
    expect(await pick(id, 'who', [member, stranger])).toBe(`who [${member},${stranger}] @mai @linh`);
    expect(await pick(id, 'role', [moderator])).toBe(`role [${moderator}] &Moderators`);
    expect(await pick(id, 'either', [artist, member])).toBe(`either [${artist},${member}] @mai &Artists`);
    expect(await pick(id, 'where', [pg.loungeId])).toBe(`where [${pg.loungeId}] #lounge`);
    expect(await pick(id, 'lanes', ['relax', 'fast'])).toBe('lanes [relax,fast] ');
    expect(await pick(id, 'role', [])).toBe('role [] ');
  });

  test('what the client does not offer is not sent', async () => {
    const { id } = await setup();
    const refused = (custom: string, values: string[]) =>
      expect(pg.click(pg.users.owner, id, custom, { values })).rejects.toMatchObject({
        name: 'ClientRefusal',
      });
    await refused('lanes', ['fast']);
    await refused('lanes', ['fast', 'warp']);
    await refused('lanes', ['fast', 'fast']);
    await refused('who', [pg.roles.artist]);
    await refused('role', [pg.users.member]);
    await refused('where', [pg.dm(pg.users.owner)]);
    await refused('who', [pg.users.member, pg.users.owner, pg.users.stranger]);
  });

  test('a menu on a person opens a form with selects, and the form brings people along', async () => {
    const { owner, stranger, member } = pg.users;
    const opened = await pg.userCommand(owner, stranger, 'Invite');
    expect(opened.modal).toMatchObject({ title: 'Invite', custom_id: `invite ${stranger}` });
    await expect(pg.submitModal(owner, opened, { words: 'hi' })).rejects.toThrow(/Pick/);
    const sent = await pg.submitModal(owner, opened, { words: 'hi', with: [member] });
    expect(sent.message!.content).toBe(`invite ${stranger}: hi with mai fast`);
  });

  test('defaults of a kind that does not fit are refused, as are too many', async () => {
    const send = (select: Record<string, unknown>) =>
      request(pg, 'POST', `/channels/${pg.channelId}/messages`, {
        content: 'x',
        components: [{ type: 1, components: [{ custom_id: 's', ...select }] }],
      });
    const users = [pg.users.member, pg.users.owner].map((id) => ({ id, type: 'user' }));
    expect((await send({ type: 5, max_values: 2, default_values: users })).status).toBe(200);
    expect((await send({ type: 5, default_values: users })).body).toMatchObject({ code: 50035 });
    expect((await send({ type: 6, default_values: [users[0]] })).body).toMatchObject({ code: 50035 });
    expect(pg.violations.splice(0).map((violation) => violation.kind)).toEqual(['invalid', 'invalid']);
  });

  test('the second channel is a place of its own', async () => {
    const run = await pg.run(
      pg.users.member,
      'imagine',
      { prompt: 'in the lounge' },
      { channelId: pg.loungeId },
    );
    await pg.waitFor(() => run.message?.buttons.length === 9);
    expect(pg.messages(pg.loungeId).map((m) => m.id)).toEqual([run.message!.id]);
    expect(pg.messages().map((m) => m.id)).not.toContain(run.message!.id);
    expect(run.message!.raw).toMatchObject({ channel_id: pg.loungeId });
  });
});

describe.skipIf(!chromiumPath)(
  `in the page${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let browser: Browser;
    let v: Visit;
    let page: Page;
    beforeAll(async () => {
      browser = await launch();
      v = await visit(browser, pg, 'owner');
      page = v.page;
    });
    afterEach(() => expect(v.complaints).toEqual([]));
    afterAll(() => browser?.close());
    const run = async (line: string) => {
      await page.getByTestId('composer').fill(line);
      await page.getByTestId('composer').press('Enter');
    };
    /** Of the open list; the page's own pickers have options too. */
    const options = () => page.locator('.select-list');
    const last = () => page.getByTestId('message').last();

    test('several choices are sent when the list closes; too few are not', async () => {
      await run('/setup');
      await last().getByRole('button', { name: 'Lanes' }).click();
      await options().getByRole('option', { name: 'Lane turbo' }).click();
      await page.keyboard.press('Escape');
      await last().getByRole('button', { name: 'Lanes', exact: true }).click();
      await options().getByRole('option', { name: 'Lane relax' }).click();
      await options().getByRole('option', { name: 'Lane fast' }).click();
      await options().getByRole('option', { name: 'Lane turbo' }).click();
      const fourth = options().getByRole('option', { name: 'Lane off' });
      await expect.poll(() => fourth.getAttribute('aria-disabled')).toBe('true');
      await page.getByTestId('composer').click();
      await last().getByText('lanes [relax,fast,turbo]').waitFor();
    });

    test('people are found by typing, with the keyboard alone', async () => {
      await last().getByRole('button', { name: 'Who' }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('textbox', { name: 'Search' }).waitFor();
      await page.keyboard.type('lin');
      await expect.poll(() => options().getByRole('option').count()).toBe(1);
      await page.keyboard.press('ArrowDown');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Escape');
      await last()
        .getByText(/who \[\d+\]/)
        .waitFor();
      await last().getByText('@linh').waitFor();
    });

    test('a role, someone or some role, a channel', async () => {
      for (const [menu, option, says] of [
        ['Role', 'Artists', '&Artists'],
        ['Where', 'lounge', '#lounge'],
        ['Either', 'Moderators', '&Moderators'],
      ] as const) {
        await last().getByRole('button', { name: menu }).click();
        await options().getByRole('option', { name: option }).click();
        if (menu !== 'Role') await page.keyboard.press('Escape');
        await last().getByText(says).waitFor();
      }
    });

    test('right click on a name, Apps, a form with a select', async () => {
      pg.say(pg.users.stranger, 'hello from Linh');
      await last().getByText('hello from Linh').waitFor();
      await last().getByTestId('author').click({ button: 'right' });
      await page.getByRole('menuitem', { name: 'Apps' }).click();
      await page.getByRole('menuitem', { name: 'Invite' }).click();
      const form = page.getByRole('dialog', { name: 'Invite' });
      await form.getByLabel('Words').fill('come');
      await form.getByRole('group', { name: 'With' }).getByRole('button').click();
      await options().getByRole('option', { name: 'Mai' }).click();
      await options().getByRole('option', { name: 'Tomas' }).click();
      await form.getByRole('button', { name: 'Submit' }).click();
      await last().getByText('come with mai,tomas fast').waitFor();
    });

    test('the second channel has its own messages and its own title', async () => {
      await page.getByTestId('channel-lounge').click();
      await page.getByRole('heading', { name: 'lounge', level: 1 }).waitFor();
      await run('/imagine a picture for the lounge');
      await last().getByText('a picture for the lounge - ').waitFor();
      await page.getByTestId('channel-guild').click();
      await page.getByText('a picture for the lounge').waitFor({ state: 'detached' });
    });
  },
);
