import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type FaultStack, problemsOf, startFaultStack, until } from '../support/faults.ts';
import { freePort } from '../support/redis.ts';

/** The real figures of a real bot and worker, and whatever looks at them: alerts, dashboard, runbook. */
const docs = join(resolve(import.meta.dirname, '../..'), 'docs');
const promtool = spawnSync('promtool', ['--version']).status === 0;

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}
let stack: FaultStack;
let ports: { bot: number; worker: number };
let scraped: Record<'bot' | 'worker', { text: string; samples: Sample[] }>;

const read = (text: string): Sample[] =>
  [...text.matchAll(/^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/gm)].map(([, name, labels = '', value]) => ({
    name: name as string,
    labels: Object.fromEntries([...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])),
    value: Number(value),
  }));
/** One connection a question: the server ends idle ones after 5 s, and promtool may hold us up for longer. */
const ask = (port: number, path: string) =>
  fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
const scrape = async (port: number) => {
  const text = await (await ask(port, '/metrics')).text();
  return { text, samples: read(text) };
};
const figureOf = (who: 'bot' | 'worker', name: string, labels: Record<string, string> = {}) =>
  scraped[who].samples.find(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([key, is]) => sample.labels[key] === is),
  )?.value;

beforeAll(async () => {
  const [botPort, workerPort] = await Promise.all([freePort(), freePort()]);
  ports = { bot: botPort, worker: workerPort };
  stack = await startFaultStack();
  await Promise.all([
    stack.startBot({ HEALTH_PORT: String(botPort) }),
    stack.startWorker({ HEALTH_PORT: String(workerPort) }),
  ]);
  const painted = await stack.imagine('measured');
  await stack.grid(painted);
  await stack.imagine('refused --seed none');
  await stack.playground.run(stack.playground.users.member, 'help');
  // The message is there a moment before the worker notes that it is.
  await until(async () => {
    scraped = { bot: await scrape(botPort), worker: await scrape(workerPort) };
    return figureOf('worker', 'dreamgrid_jobs_total', { how: 'delivered' }) === 1;
  }, 'the delivery in /metrics');
});
afterAll(() => stack?.close());

describe('what /metrics says after one grid and one refusal', () => {
  it.each([
    ['bot', 'dreamgrid_ready', {}, 1],
    ['bot', 'dreamgrid_redis_up', {}, 1],
    ['bot', 'dreamgrid_redis_persistence_ok', {}, 1],
    ['bot', 'dreamgrid_gateway_up', {}, 1],
    ['bot', 'dreamgrid_workers', {}, 1],
    ['bot', 'dreamgrid_open_jobs', {}, 0],
    ['bot', 'dreamgrid_queue_jobs', { lane: 'render', state: 'prioritized' }, 0],
    ['bot', 'dreamgrid_queue_jobs', { lane: 'deliver', state: 'active' }, 0],
    ['bot', 'dreamgrid_queue_jobs', { lane: 'ask', state: 'waiting' }, 0],
    ['bot', 'dreamgrid_queued_total', { action: 'imagine' }, 1],
    ['bot', 'dreamgrid_acknowledge_seconds_count', {}, 3],
    ['bot', 'dreamgrid_discord_answers_total', { status: '429' }, 0],
    ['worker', 'dreamgrid_ready', {}, 1],
    ['worker', 'dreamgrid_redis_up', {}, 1],
    ['worker', 'dreamgrid_wait_seconds_count', {}, 1],
    ['worker', 'dreamgrid_paint_seconds_count', { model: 'tiny' }, 1],
    ['worker', 'dreamgrid_deliver_seconds_count', {}, 1],
    ['worker', 'dreamgrid_jobs_total', { how: 'failed' }, 0],
    ['worker', 'dreamgrid_failures_total', { code: 'discord-forbidden' }, 0],
    ['worker', 'dreamgrid_engine_restarts_total', { code: 'crashed' }, 0],
  ] as const)('%s: %s%j = %d', (who, name, labels, value) => {
    expect(figureOf(who, name, labels)).toBe(value);
  });

  it('the refusal has its code, the steps their time, Redis its memory', () => {
    const refusals = scraped.bot.samples.filter(
      ({ name, value }) => name === 'dreamgrid_refusals_total' && value > 0,
    );
    expect(refusals).toHaveLength(1);
    expect(figureOf('worker', 'dreamgrid_step_seconds_count', { model: 'tiny' })).toBeGreaterThan(0);
    expect(figureOf('bot', 'dreamgrid_redis_memory_bytes')).toBeGreaterThan(500_000);
    expect(figureOf('worker', 'dreamgrid_discord_answers_total', { status: '200' })).toBeGreaterThan(0);
  });

  it.runIf(promtool)('is what Prometheus calls good', () => {
    for (const { text } of Object.values(scraped)) {
      const own = text
        .split('\n')
        .filter((line) => line.includes('dreamgrid_'))
        .join('\n');
      const checked = spawnSync('promtool', ['check', 'metrics'], { input: `${own}\n`, encoding: 'utf8' });
      expect(checked.stderr + checked.stdout).toBe('');
    }
  });
});

interface Rule {
  alert: string;
  expr: string;
}
const rules = (): Rule[] =>
  (
    parse(readFileSync(join(docs, 'ops/alerts.yml'), 'utf8')) as { groups: { rules: Rule[] }[] }
  ).groups.flatMap((group) => group.rules);
interface Panel {
  title: string;
  type: string;
  gridPos: { x: number; w: number };
  targets?: { expr: string }[];
}
const panels = (): Panel[] =>
  (JSON.parse(readFileSync(join(docs, 'ops/grafana.json'), 'utf8')) as { panels: Panel[] }).panels;
const expressions = (): [string, string][] => [
  ...rules().map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels().flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }): [string, string] => [title, expr]),
  ),
];

describe('whoever looks at the figures', () => {
  it('the dashboard and the alerts name only metrics and labels that a bot or a worker really has', () => {
    const samples = Object.values(scraped).flatMap((one) => one.samples);
    const bad: string[] = [];
    for (const [where, expr] of expressions()) {
      const named = [...expr.matchAll(/\b((?:dreamgrid|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)];
      if (named.length === 0 && !expr.startsWith('up{')) bad.push(`${where} looks at nothing`);
      for (const [, name, matchers = ''] of named) {
        const series = samples.filter((sample) => sample.name === name);
        // Only what failed is counted by code; the names of its labels are known all the same.
        const declared = Object.values(scraped).some(({ text }) => text.includes(`# TYPE ${name} counter`));
        if (series.length === 0 && !declared) bad.push(`${where}: no metric ${name}`);
        for (const [, label, sign, value] of matchers.matchAll(/(\w+)(=~|=)"([^"]*)"/g)) {
          const fits = (has: string | undefined): boolean =>
            has !== undefined && (sign === '=' ? has === value : new RegExp(`^(?:${value})$`).test(has));
          if (series.length > 0 && !series.some(({ labels }) => fits(labels[label as string])))
            bad.push(`${where}: ${name} has no ${label}${sign}"${value}"`);
        }
      }
    }
    expect(bad).toEqual([]);
  });

  it('the dashboard has a picture of every figure of ours', () => {
    const shown = panels()
      .flatMap(({ targets = [] }) => targets)
      .map(({ expr }) => expr)
      .join(' ');
    const own = Object.values(scraped).flatMap(({ text }) =>
      [...text.matchAll(/^# TYPE (dreamgrid_\w+) /gm)].map(([, name]) => name as string),
    );
    expect([...new Set(own)].filter((name) => !shown.includes(name))).toEqual([]);
    for (const { gridPos } of panels()) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });

  it('the runbook has a section for every alert, and none for another', () => {
    const text = readFileSync(join(docs, 'operations.md'), 'utf8');
    const sections = [...text.matchAll(/^### (Dreamgrid\w+)$/gm)].map(([, name]) => name);
    expect(sections.sort()).toEqual(
      rules()
        .map(({ alert }) => alert)
        .sort(),
    );
  });

  it('every alert has a case in which it fires, and one in which it does not', () => {
    const { tests } = parse(readFileSync(join(docs, 'ops/alerts.test.yml'), 'utf8')) as {
      tests: { alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[] }[];
    };
    const cases = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
    for (const fires of [true, false]) {
      const names = cases.filter(({ exp_alerts }) => (exp_alerts !== undefined) === fires);
      expect([...new Set(names.map(({ alertname }) => alertname))].sort()).toEqual(
        rules()
          .map(({ alert }) => alert)
          .sort(),
      );
    }
  });

  it('the runbook lets Prometheus see every service that has figures', () => {
    const [, names] = /dns_sd_configs: \[\{ names: \[(.+?)\]/.exec(
      readFileSync(join(docs, 'operations.md'), 'utf8'),
    ) as RegExpExecArray;
    const { services } = parse(readFileSync(join(docs, '../docker-compose.yml'), 'utf8'), {
      merge: true,
    }) as { services: Record<string, { environment?: Record<string, unknown> }> };
    const measured = Object.entries(services).filter(([, { environment }]) => environment?.['HEALTH_PORT']);
    expect(names?.split(', ').sort()).toEqual(measured.map(([name]) => name).sort());
  });

  it.runIf(promtool)('promtool takes the rules, plays their tests, and reads every expression', () => {
    const run = (...args: string[]) => {
      const done = spawnSync('promtool', args, { cwd: join(docs, 'ops'), encoding: 'utf8' });
      expect(done.status, done.stderr + done.stdout).toBe(0);
    };
    run('check', 'rules', 'alerts.yml');
    run('test', 'rules', 'alerts.test.yml');
    const folder = mkdtempSync(join(tmpdir(), 'dreamgrid-rules-'));
    const file = join(folder, 'panels.yml');
    const asRules = expressions().map(([, expr], i) => ({
      record: `panel:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: asRules }] }));
    run('check', 'rules', file);
    rmSync(folder, { recursive: true });
  });
});

it('/healthz, /readyz and nothing else; a worker whose Redis is gone says so to Prometheus too', async () => {
  for (const port of Object.values(ports)) {
    const at = (path: string) => ask(port, path);
    expect(await (await at('/healthz')).text()).toBe('ok\n');
    expect(await problemsOf(port)).toEqual([]);
    expect((await at('/')).status).toBe(404);
    expect((await at('/metrics/../.env')).status).toBe(404);
  }
  await stack.redis.kill('SIGKILL');
  for (const who of ['bot', 'worker'] as const)
    await until(async () => {
      scraped[who] = await scrape(ports[who]);
      return figureOf(who, 'dreamgrid_redis_up') === 0 && figureOf(who, 'dreamgrid_ready') === 0;
    }, `${who} tells of Redis`);
  expect(figureOf('bot', 'dreamgrid_queue_jobs')).toBeUndefined();
  expect((await ask(ports.bot, '/healthz')).status).toBe(200);
});
