import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MessageView, type Playground, startPlayground } from '../../playground/index.ts';
import { chromiumPath, launch, visit } from './browser.ts';
import { request, waiting } from './rest.ts';
import { picture, type ScriptedBot, startBot } from './scriptedBot.ts';
import { slowClock } from './slowClock.ts';

/**
 * One session, played twice against the same bot: by hand in the page, and by calls. The bot must be asked the
 * same, both people must see the same, and the page must show what the protocol says.
 */
interface Player {
  run(line: string, command: string, options: Record<string, string | number>): Promise<void>;
  press(at: number, label: string): Promise<void>;
  pick(at: number, menu: string, label: string, value: string): Promise<void>;
  fill(text: string): Promise<void>;
  app(at: number, name: string): Promise<void>;
  react(at: number, emoji: string): Promise<void>;
  say(text: string): Promise<void>;
  dismiss(at: number): Promise<void>;
}

/** `at` counts the member's messages from the first. */
async function play(by: Player, settled: (count: number, last: RegExp) => Promise<void>): Promise<void> {
  await by.run('/imagine a fox in the snow', 'imagine', { prompt: 'a fox in the snow' });
  await settled(1, /\(fast\)/);
  await by.press(0, 'U3');
  await settled(2, /Image #3/);
  await by.press(0, '🔄');
  await by.fill('a red fox');
  await settled(3, /Remixed: a red fox/);
  await by.run('/info', 'info', {});
  await settled(4, /^$/);
  await by.pick(3, 'Choose a lane', 'Relax', 'relax');
  await settled(4, /Lane: relax/);
  await by.dismiss(3);
  await by.run('/model name: sd15 steps: 20 lane: Relax', 'model', {
    name: 'sd15',
    steps: 20,
    lane: 'relax',
  });
  await settled(4, /"lane","relax"/);
  await by.app(0, 'Show recipe');
  await settled(5, /Recipe of/);
  await by.react(0, '❤️');
  await by.say('thank you, **Dreamgrid**');
  await settled(6, /thank you/);
}

/** Without what differs from one world to the next: ids, addresses, signatures, times. */
const plain = (text: string): string =>
  text
    .replace(/\d{17,19}/g, 'ID')
    .replace(/http:\/\/127\.0\.0\.1:\d+/g, 'HOST')
    .replace(/\b(ex|is|hm)=[0-9a-f]+/g, '$1')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+\+00:00/g, 'TIME');

/** What a person has before them, without ids and times. */
const seenOf = (messages: MessageView[]) =>
  messages.map((m) => ({
    text: plain(m.content),
    embeds: m.embeds.map((e) => e['title']),
    buttons: m.buttons.map((b) => b.label),
    pictures: m.attachments.map((a) => `${a.filename} ${a.width}x${a.height}`),
    only: m.ephemeral,
    reactions: m.reactions.map((r) => `${r.emoji} ${r.users.length}`),
    by: m.interaction && `${m.interaction.type} ${m.interaction.name}`,
  }));

describe.skipIf(!chromiumPath)(
  `a session by page and by protocol${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launch();
    });
    afterAll(() => browser?.close());

    /** A world of its own for each way of playing, with a note of all that the bot was asked. */
    async function world(): Promise<{ pg: Playground; bot: ScriptedBot; asked: string[] }> {
      const pg = await startPlayground({ clock: slowClock });
      const bot = await startBot(pg);
      const asked: string[] = [];
      bot.client.on('raw', ({ t, d }: { t: string; d: Record<string, unknown> }) => {
        // What is typed on the way to a value differs; what is sent in the end does not.
        if (t === 'INTERACTION_CREATE' && d['type'] !== 4)
          asked.push(plain(JSON.stringify([d['type'], d['data']])));
      });
      return { pg, bot, asked };
    }
    const mine = (pg: Playground) => pg.messages(pg.channelId, pg.users.member);
    const settledIn = (pg: Playground) => async (count: number, last: RegExp) => {
      await pg.waitFor(
        () => mine(pg).length === count && last.test(mine(pg).at(-1)!.content) && !mine(pg).at(-1)!.loading,
        60_000,
        `message ${count} saying ${last}`,
      );
    };

    function byCalls(pg: Playground): Player {
      const { member } = pg.users;
      const at = (index: number): string => mine(pg)[index]!.id;
      let opener: string | undefined;
      return {
        run: async (_line, command, options) => void (await pg.run(member, command, options)),
        press: async (index, label) => {
          const click = await pg.click(member, at(index), label);
          if (click.modal) opener = click.id;
        },
        pick: async (index, menu, _label, value) =>
          void (await pg.click(member, at(index), menu, { values: [value] })),
        fill: async (text) => void (await pg.submitModal(member, opener!, { prompt: text })),
        app: async (index, name) => void (await pg.messageCommand(member, at(index), name)),
        react: async (index, emoji) => pg.react(member, at(index), emoji),
        say: async (text) => void pg.say(member, text),
        dismiss: async (index) => pg.dismiss(member, at(index)),
      };
    }

    function byHand(page: Page): Player {
      const message = (index: number): Locator => page.getByTestId('message').nth(index);
      const composer = page.getByTestId('composer');
      const send = async (line: string) => {
        await composer.fill(line);
        await composer.press('Enter');
        // Where a list of choices is open, the first Enter takes the marked one.
        if ((await composer.inputValue()) !== '') await composer.press('Enter');
      };
      return {
        run: (line) => send(line),
        press: (index, label) => message(index).getByRole('button', { name: label, exact: true }).click(),
        pick: async (index, menu, label) => {
          await message(index).getByRole('button', { name: menu }).click();
          await page.locator('.select-list').getByRole('option', { name: label }).click();
        },
        fill: async (text) => {
          const form = page.getByRole('dialog');
          await form.getByRole('textbox').fill(text);
          await form.getByRole('button', { name: 'Submit' }).click();
        },
        app: async (index, name) => {
          await message(index).locator('.markup').first().click({ button: 'right' });
          await page.getByRole('menuitem', { name: 'Apps' }).click();
          await page.getByRole('menuitem', { name }).click();
        },
        react: async (index, emoji) => {
          await message(index).hover();
          await message(index)
            .getByRole('button', { name: `Add reaction ${emoji}` })
            .click();
        },
        say: (text) => send(text),
        dismiss: (index) => message(index).getByRole('button', { name: 'Dismiss message' }).click(),
      };
    }

    /** The page's messages, read off the page. */
    const shownIn = (page: Page) =>
      page.getByTestId('message').evaluateAll((all) =>
        all.map((el) => {
          const of = (selector: string): string[] =>
            [...el.querySelectorAll(selector)].map((x) => (x.textContent ?? '').trim().replace(/\s+/g, ' '));
          return {
            id: el.getAttribute('data-message-id'),
            buttons: of('.components .btn'),
            pictures: el.querySelectorAll('.attachments img').length,
            only: el.getAttribute('data-ephemeral') === 'true',
            embeds: of('.embed-title'),
            reactions: of('.reaction'),
          };
        }),
      );

    test('the bot is asked the same, and both people see the same', { timeout: 300_000 }, async () => {
      const [calls, hand] = [await world(), await world()];
      await play(byCalls(calls.pg), settledIn(calls.pg));
      const mai = await visit(browser, hand.pg, 'member');
      const linh = await visit(browser, hand.pg, 'stranger');
      await play(byHand(mai.page), async (count, last) => {
        await settledIn(hand.pg)(count, last);
        await expect.poll(() => mai.page.getByTestId('message').count(), { timeout: 30_000 }).toBe(count);
      });

      expect(hand.asked).toEqual(calls.asked);
      expect(hand.asked.length).toBe(8);
      for (const who of ['member', 'stranger'] as const) {
        const views = [calls.pg, hand.pg].map((pg) => seenOf(pg.messages(pg.channelId, pg.users[who])));
        expect(views[1], who).toEqual(views[0]);
      }
      for (const [{ page }, who] of [
        [mai, 'member'],
        [linh, 'stranger'],
      ] as const) {
        const truth = hand.pg.messages(hand.pg.channelId, hand.pg.users[who]).map((m) => ({
          id: m.id,
          buttons: m.buttons.map((b) => b.label),
          pictures: m.attachments.length,
          only: m.ephemeral,
          embeds: m.embeds.map((e) => e['title']),
          reactions: m.reactions.map((r) => `${r.emoji} ${r.users.length}`),
        }));
        await expect.poll(() => shownIn(page), { timeout: 30_000 }).toEqual(truth);
      }
      expect([...mai.complaints, ...linh.complaints]).toEqual([]);
      for (const { pg, bot } of [calls, hand]) {
        expect(bot.errors).toEqual([]);
        expect(pg.violations).toEqual([]);
        await bot.stop();
        await pg.close();
      }
      for (const { page } of [mai, linh]) await page.context().close();
    });

    test('the server restarts between a preview and the grid: one message, and in the end the grid', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'playground-session-'));
      const statePath = join(folder, 'state.json');
      const file = async (colour: string, content: string): Promise<FormData> => {
        const form = new FormData();
        form.set('payload_json', JSON.stringify({ content, attachments: [{ id: '0' }] }));
        form.set('files[0]', new Blob([new Uint8Array(await picture(colour, 256))]), 'p.png');
        return form;
      };
      const first = await startPlayground({ statePath });
      const { page } = await visit(browser, first);
      const { handle, callback, original } = await waiting(first);
      await callback({ type: 4, data: { content: 'a fox (Waiting to start)' } });
      expect((await original('PATCH', await file('#223344', 'a fox (31%)'))).status).toBe(200);
      await page.getByText('a fox (31%)').waitFor();
      await first.close();
      await page.getByTestId('offline').waitFor();
      const second = await startPlayground({ statePath, port: Number(new URL(first.url).port) });
      const grid = await request(
        second,
        'PATCH',
        `/webhooks/${second.applicationId}/${handle.token}/messages/@original`,
        await file('#c0703a', 'a fox (fast)'),
        false,
      );
      expect(grid.status).toBe(200);
      await page.getByTestId('message').getByText('a fox (fast)').waitFor();
      await expect.poll(() => page.getByTestId('message').count()).toBe(1);
      await expect.poll(() => page.locator('.attachments img').count()).toBe(1);
      await page.context().close();
      await second.close();
      await rm(folder, { recursive: true, force: true });
    });
  },
);
