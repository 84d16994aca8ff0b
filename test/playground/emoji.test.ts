/** The page draws emoji itself: nothing of it depends on the fonts of a machine. */
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { emojiFile } from '../../playground/serve/emojiFile.ts';
import { chromiumPath, launch, visit } from './browser.ts';
import { request } from './rest.ts';

let pg: Playground;
beforeAll(async () => {
  pg = await startPlayground();
});
afterAll(() => pg?.close());

it('there is a drawing of every emoji that the bot uses', async () => {
  const root = resolve(import.meta.dirname, '../..');
  const used = new Set<string>();
  for (const folder of ['bot', 'shared', 'playground/page'])
    for (const file of await readdir(join(root, folder), { recursive: true })) {
      if (!file.endsWith('.ts') || file.includes('moderation')) continue;
      const text = await readFile(join(root, folder, file), 'utf8');
      for (const [one] of text.matchAll(/\p{Emoji_Presentation}|\p{Extended_Pictographic}(?=\uFE0F)/gu))
        used.add(one);
    }
  expect(used.size).toBeGreaterThan(15);
  for (const one of used) {
    const file = await emojiFile(`/emoji/${one.codePointAt(0)!.toString(16)}.svg`);
    expect(file?.data.toString('utf8'), one).toMatch(/^<svg/);
  }
});

it.each(['/emoji/..%2fpackage.json', '/emoji/license', '/emoji/zz.svg', '/emoji/1f504.svg/x'])(
  'nothing else: %s',
  async (path) => expect((await fetch(`${pg.url}${path}`)).status).toBe(404),
);

describe.skipIf(!chromiumPath)(
  `in the page${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launch();
    });
    afterAll(() => browser?.close());

    it('buttons, reactions and words are drawn, and keep their letters', async () => {
      const { page, complaints } = await visit(browser, pg);
      const button = (name: string, id: string) => ({ type: 2, style: 2, custom_id: id, emoji: { name } });
      const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, {
        content: 'a fox 🦊, ❤️ 👩🏽‍🚀 🇻🇳 5️⃣ and 🌡 © `🦊`',
        components: [{ type: 1, components: ['🔄', '🖌️', '✉'].map((name, i) => button(name, `b${i}`)) }],
      });
      pg.react(pg.users.member, made.body.id, '❌');
      const shown = page.locator(`#m-${made.body.id}`);
      await shown.getByRole('button', { name: '❌ 1' }).waitFor();
      await expect
        .poll(() =>
          shown
            .locator('.emoji img')
            .evaluateAll(
              (all) =>
                all.filter((one) => (one as unknown as { naturalWidth: number }).naturalWidth > 0).length,
            ),
        )
        .toBe(await shown.locator('.emoji').count());
      expect(await shown.locator('.emoji.plain').count()).toBe(0);
      expect(await shown.locator('.btn .emoji').allTextContents()).toEqual(['🔄', '🖌️', '✉']);
      expect(await shown.locator('.markup .emoji').allTextContents()).toEqual([
        '🦊',
        '❤️',
        '👩🏽‍🚀',
        '🇻🇳',
        '5️⃣',
      ]);
      expect(await shown.locator('.markup').textContent()).toContain('a fox 🦊, ❤️ 👩🏽‍🚀 🇻🇳 5️⃣ and 🌡 © 🦊');
      expect(complaints).toEqual([]);
    });
  },
);
