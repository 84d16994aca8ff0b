import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { Gauge, Histogram, Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Playground, startPlayground } from '../../playground/index.ts';
import { GUIDE } from '../../playground/serve/guide.ts';
import { readSamples } from '../../playground/serve/workerHealth.ts';
import { type Health, openHealth } from '../../shared/service/health.ts';
import { chromiumPath, launch, visit } from './browser.ts';

/** What the page shows of bot and worker, read from health ports that say what the test wants said. */
interface Told {
  url: string;
  problems: string[];
  registry: Registry;
  health: Health;
}

/** A port that was free a moment ago, and is below those that connections take. */
async function tell(problems: string[]): Promise<Told> {
  const registry = new Registry();
  const told: Told = { url: '', problems, registry, health: undefined as unknown as Health };
  for (let port = 20_000 + Math.floor(Math.random() * 12_000); ; port++) {
    const opened = await openHealth({
      port,
      host: '127.0.0.1',
      registry,
      ready: async () => told.problems,
    }).catch(() => undefined);
    if (opened) return Object.assign(told, { health: opened, url: `http://127.0.0.1:${opened.port}` });
  }
}

test('figures are read as Prometheus writes them', () => {
  const text = '# HELP a b\na 1\nb{lane="fast",state="waiting"} 2.5\nc{x="a,b \\"q"} NaN\n';
  expect(readSamples(text)).toEqual([
    { name: 'a', labels: {}, value: 1 },
    { name: 'b', labels: { lane: 'fast', state: 'waiting' }, value: 2.5 },
    expect.objectContaining({ name: 'c', value: Number.NaN }),
  ]);
});

describe.skipIf(!chromiumPath)(
  `under the hood${chromiumPath ? '' : ' (skipped: no chromium is installed)'}`,
  () => {
    let browser: Browser;
    let bot: Told;
    let worker: Told;
    let pg: Playground;
    let kills = 0;
    beforeAll(async () => {
      browser = await launch();
      [bot, worker] = [await tell([]), await tell(['loading the model "pocket"'])];
      pg = await startPlayground({
        underneath: { bot: bot.url, worker: worker.url, killWorker: () => kills++ },
        guideFolder: fileURLToPath(new URL('../../docs', import.meta.url)),
      });
    });
    afterAll(async () => {
      await browser?.close();
      await pg?.close();
      await Promise.all([bot?.health.close(), worker?.health.close()]);
    });

    test('the loading of a model has a line with its progress, then lanes and pace are there; axe agrees', async () => {
      const { page, complaints } = await visit(browser, pg);
      const note = page.getByTestId('worker-note');
      await note.getByText('The model pocket is loading').waitFor();
      worker.problems = ['loading the model "pocket": unet (2 of 5)'];
      await note.getByText('loading unet').waitFor();
      await note.getByText('40 %').waitFor();
      worker.problems = ['Redis does not answer'];
      await note.getByText('The worker cannot paint now: Redis does not answer').waitFor();
      worker.problems = [];
      await note.waitFor({ state: 'detached' });

      const lanes = new Gauge({
        name: 'dreamgrid_lane_jobs',
        help: 'x',
        labelNames: ['lane', 'state'],
        registers: [bot.registry],
      });
      for (const [lane, waiting, running] of [
        ['turbo', 0, 1],
        ['fast', 7, 0],
        ['relax', 12, 0],
      ] as const) {
        lanes.set({ lane, state: 'waiting' }, waiting);
        lanes.set({ lane, state: 'running' }, running);
      }
      const steps = new Histogram({
        name: 'dreamgrid_step_seconds',
        help: 'x',
        registers: [worker.registry],
      });
      for (let i = 0; i < 4; i++) steps.observe(0.25);
      await page.getByTestId('hood').click();
      await page.locator('[data-lane=relax]').getByText('12').waitFor();
      await expect.poll(() => page.locator('[data-lane=fast] td').allTextContents()).toEqual(['7', '0']);
      await expect.poll(() => page.locator('[data-lane=turbo]').getAttribute('class')).toBe('now');
      await page.getByTestId('pace').getByText('4.0 steps/s').waitFor();
      for (let i = 0; i < 10; i++) steps.observe(0.1);
      await page.getByTestId('pace').getByText('10.0 steps/s').waitFor();

      await page.getByTestId('kill-worker').click();
      await expect.poll(() => kills).toBe(1);
      await page.evaluate(
        await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'),
      );
      const found = (await page.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.target.join(' '))]))",
      )) as [string, string, string[]][];
      expect(found.filter(([impact]) => impact === 'serious' || impact === 'critical')).toEqual([]);
      expect(complaints).toEqual([]);
      await page.context().close();
    });

    test('the guide is a page of ours: tables, code, and nothing that runs', async () => {
      const answer = await fetch(`${pg.url}${GUIDE}?theme=light`);
      expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
      const html = await answer.text();
      expect(html).toContain('data-theme="light"');
      expect(html).toMatch(/<table>[\s\S]*--stylize/);
      expect(html).not.toContain('<script');
      expect(html).toContain('id="what-the-parameters-do"');
      // Every document it names is there, and pictures are served.
      const links = [...html.matchAll(/href="((?!https?:|#)[^"]+)"/g)].map((m) => m[1]!);
      expect(links.some((link) => link.includes('commands.md?theme=light'))).toBe(true);
      for (const link of new Set([...links.map((l) => l.split('#')[0]!), 'images/grid.png']))
        expect((await fetch(new URL(link, answer.url))).status, link).toBe(200);
      for (const out of ['/guide/../package.json', '/guide/%2e%2e/package.json', '/guide/ops/grafana.json'])
        expect((await fetch(`${pg.url}${out}`)).status, out).toBe(404);
    });

    test('a page that others can reach does not offer to kill', async () => {
      const wide = await startPlayground({
        host: '0.0.0.0',
        underneath: { bot: bot.url, worker: worker.url, killWorker: () => kills++ },
      });
      const { page } = await visit(browser, wide);
      await page.getByTestId('hood').click();
      await page.getByTestId('health').waitFor();
      await expect.poll(() => page.getByTestId('kill-worker').count()).toBe(0);
      await page.context().close();
      await wide.close();
    });
  },
);
