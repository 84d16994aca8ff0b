import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InteractionHandle, MessageView } from '../../playground/index.ts';
import { CANARY, ENGLISH, type FaultStack, holdEngine, startFaultStack, until } from '../support/faults.ts';
import type { TestProcess } from '../support/processes.ts';
import { passOn, type Relay, startRelay } from '../support/relay.ts';
import { isGrid, isSingle } from '../support/stack.ts';
import { bigPng } from './hostileFiles.ts';
import { reportWithin } from './report.ts';

/** What people and forgers do: too much, too often, at the wrong place, in the wrong name. */
let stack: FaultStack;
let relay: Relay;
let bot: TestProcess;
let worker: TestProcess;
/** Inner hosts that the operator allowed by mistake, so that the addresses themselves are what is refused. */
const IMAGE_HOSTS = 'localhost,127.0.0.1,[::ffff:7f00:1],169.254.169.254';

beforeAll(async () => {
  stack = await startFaultStack();
  relay = await startRelay(stack.playground.url);
  [bot, worker] = await Promise.all([
    stack.startBot({ DISCORD_API: relay.api, IMAGE_HOSTS }),
    stack.startWorker(),
  ]);
});
afterAll(async () => {
  await relay?.close();
  await stack?.close();
});
beforeEach(() => {
  relay.forge = passOn;
});
afterEach(() => {
  expect(bot.process.exitCode).toBeNull();
  expect(stack.playground.violations).toEqual([]);
});

type Json = Record<string, unknown>;

/** Puts `value` in the place of the prompt, past the client's own checks. */
const forgePrompt = (value: string): void => {
  relay.forge = (event, data) => {
    if (event !== 'INTERACTION_CREATE') return [data];
    const options = (data['data'] as { options?: Json[] }).options ?? [];
    for (const option of options) if (option['name'] === 'prompt') option['value'] = value;
    return [data];
  };
};
const titleOf = (handle: InteractionHandle): unknown =>
  (handle.followups[0] ?? handle.message)?.embeds[0]?.['title'];
const textOf = (handle: InteractionHandle): string =>
  JSON.stringify((handle.followups[0] ?? handle.message)?.embeds ?? []);
/** Refused in private, and nothing came of it. */
async function expectRefused(handle: InteractionHandle, title?: string): Promise<void> {
  expect(handle.state).toBe('acknowledged');
  const answer = handle.followups[0] ?? handle.message;
  expect(answer?.ephemeral, answer?.content).toBe(true);
  if (title) expect(titleOf(handle)).toBe(title);
  expect(await stack.queues.deliver.getJob(`d-${handle.id}`)).toBeUndefined();
}

describe('interactions', () => {
  it('row 19: the same interaction delivered twice to one bot: one job, one message', async () => {
    relay.forge = (event, data) => (event === 'INTERACTION_CREATE' ? [data, structuredClone(data)] : [data]);
    const handle = await stack.imagine('delivered twice');
    const grid = await stack.grid(handle);
    const again = await stack.press(grid, '🔄');
    await stack.grid(again);
    for (const { id } of [handle, again]) expect(stack.gpuRuns(id)).toBe(1);
    for (const one of [handle, again]) expect(stack.messagesOf(one)).toHaveLength(1);
    expect(handle.followups).toEqual([]);
  });

  it('row 35: forged interactions with foreign fields and __proto__: answered or ignored, never fatal', async () => {
    const forgeries: ((data: Json) => Json)[] = [
      (data) => JSON.parse(JSON.stringify(data).replace('{', '{"__proto__":{"polluted":true},')) as Json,
      (data) => ({ ...data, data: { ...(data['data'] as Json), name: '__proto__' } }),
      (data) => ({ ...data, data: { ...(data['data'] as Json), options: [] } }),
      (data) => ({ ...data, type: 99 }),
      (data) => ({ ...data, data: {} }),
      (data) => ({ ...data, attachment_size_limit: -1 }),
      (data) => ({ ...data, channel: 'NaN' }),
      (data) => ({ ...data, entitlements: undefined }),
      (data) => ({ ...data, member: { ...(data['member'] as Json), flags: '../../etc/passwd' } }),
    ];
    for (const forge of forgeries) {
      relay.forge = (event, data) => (event === 'INTERACTION_CREATE' ? [forge(data)] : [data]);
      await stack.playground.run(
        stack.playground.users.member,
        'imagine',
        { prompt: 'forged' },
        { early: true, ...ENGLISH },
      );
    }
    relay.forge = passOn;
    await stack.grid(await stack.imagine('after the forgeries'));
  });

  it('row 35: a forged form without its field: refused in private', async () => {
    const { playground } = stack;
    const { member } = playground.users;
    const wrong = await stack.imagine('a form --stilize 5');
    const opened = await playground.click(member, wrong.message?.id as string, 'Fix it', ENGLISH);
    relay.forge = (event, data) =>
      event === 'INTERACTION_CREATE'
        ? [{ ...data, data: { ...(data['data'] as Json), components: [] } }]
        : [data];
    const sent = await playground.submitModal(member, opened, {}, ENGLISH);
    relay.forge = passOn;
    await expectRefused(sent, 'Unknown button');
  });
});

describe('buttons', () => {
  let grid: MessageView;
  beforeAll(async () => {
    relay.forge = passOn;
    grid = await stack.grid(await stack.imagine('a picture with buttons --seed 21'));
  });

  it.each([
    ['v9|upscale|0|1190000000000000999', 'Button expired'],
    ['v1|upscale|7|1190000000000000999', 'Unknown button'],
    ['v1|drop-table|0|1190000000000000999', 'Unknown button'],
    ['v1|upscale|0|../../etc/passwd', 'Unknown button'],
    ['__proto__', 'Unknown button'],
    [`v1|upscale|0|${'9'.repeat(80)}`, 'Unknown button'],
  ])('row 21: forged or foreign button %s: %s, in private', async (customId, title) => {
    const { playground } = stack;
    const handle = await playground.click(playground.users.stranger, grid.id, customId, {
      forge: true,
      ...ENGLISH,
    });
    await expectRefused(handle, title);
  });

  it('row 21: button of a picture whose files and Redis keys are gone: repainted from the recipe in the message', async () => {
    const before = await stack.shown(await stack.press(grid, 'U4', 'stranger'), isSingle);
    await rm(stack.dataDir, { recursive: true, force: true });
    await stack.redis.client.del(`{dreamgrid}:recipe:${grid.interaction!.id}`);
    const after = await stack.shown(await stack.press(grid, 'U4'), isSingle);
    const [original, repainted] = await Promise.all(
      [before, after].map(({ attachments }) => sharp(attachments[0]!.data).raw().toBuffer()),
    );
    expect(repainted!.length).toBeGreaterThan(1000);
    expect(repainted!.equals(original!)).toBe(true);
  });

  it('row 21: button of a message without file, of a job that nobody knows: an ephemeral answer', async () => {
    const { playground } = stack;
    const waiting = await stack.imagine('cancelled soon --quality 4');
    const go = await holdEngine(worker, waiting.id);
    const unknown = await playground.click(
      playground.users.member,
      waiting.message!.id,
      'v1|upscale|0|1190000000000000999',
      { forge: true, ...ENGLISH },
    );
    await expectRefused(unknown, 'Picture forgotten');
    go();
    await stack.grid(waiting);
  });

  it('row 22: someone else’s button: anyone may paint on, only owner and moderator may cancel', async () => {
    await stack.grid(await stack.press(grid, 'V2', 'stranger'));
    for (const [who, allowed] of [
      ['stranger', false],
      ['moderator', true],
      ['member', true],
    ] as const) {
      const handle = await stack.imagine(`cancel by ${who}`);
      const go = await holdEngine(worker, handle.id);
      const click = await stack.press(handle.message!, '❌', who);
      if (!allowed) expect(titleOf(click)).toBe('Job action restricted');
      go();
      await stack.shown(handle, allowed ? ({ content }) => content.includes('(Cancelled)') : isGrid);
    }
  });

  it('row 23: ten clicks a second: one job, nine private notices', async () => {
    const clicks = await Promise.all(Array.from({ length: 10 }, () => stack.press(grid, 'U1')));
    const taken = clicks.filter((click) => !(click.followups[0] ?? click.message)?.ephemeral);
    expect(taken).toHaveLength(1);
    await stack.shown(taken[0]!, isSingle);
    for (const click of clicks) if (click !== taken[0]) await expectRefused(click, 'Easy');
  });
});

describe('prompts', () => {
  it.each([
    ['10,000 characters', 'x'.repeat(10_000), /6000/],
    ['1 MB of combining marks', `a${'\u0301'.repeat(500_000)}`, /6000|characters/],
    ['only spaces', ' \u3000\u200b\u00a0 ', /Empty prompt/],
  ])('row 24: %s: refused in private with the limit', async (_, prompt, says) => {
    forgePrompt(prompt);
    const handle = await stack.imagine('replaced');
    await expectRefused(handle);
    expect(textOf(handle)).toMatch(says);
  });

  it('row 25: zero-width, bidi override, tag characters and NUL are stripped, emoji joiners stay, one line', async () => {
    forgePrompt('a\u200bb \u202egnp.exe\u0000 \u{e0041}fox\n\n# big 👩‍🚀');
    const shown = await stack.grid(await stack.imagine('replaced'));
    const [line = ''] = shown.content.split('** - ');
    expect(line).toContain('ab gnp.exe');
    expect(line).toContain('👩‍🚀');
    expect(line).not.toMatch(/[\u200b\u202e\0\n\u{e0000}-\u{e007f}]/u);
  });

  it('row 26: @everyone, roles, masked links and backticks: nobody pinged on any create or edit, all escaped', async () => {
    forgePrompt(
      '@everyone <@&1190000000000000102> <@1190000000000000202> [free](https://evil.example) `x` **b**',
    );
    const { playground } = stack;
    const seen: MessageView[] = [];
    const stop = playground.on((event) => {
      if (event.type === 'message') seen.push(...playground.messages().slice(-1));
    });
    const handle = await stack.imagine('replaced');
    const answer = await stack.grid(handle);
    stop();
    for (const message of [...seen, answer]) {
      expect(message.mentionEveryone).toBe(false);
      expect(message.mentionRoles).toEqual([]);
      expect(message.pinged.filter((id) => id !== playground.users.member)).toEqual([]);
    }
    const shown = [...seen, answer].filter(({ loading }) => !loading);
    expect(shown.length).toBeGreaterThan(1);
    for (const { content } of shown) expect(content).toMatch(/\\@everyone.*\\\[free\\\].*\\`x\\`/);
  });
});

describe('image prompts', () => {
  /** Takes note of whoever comes for https on this machine; undefined where that port is not ours to take. */
  let door: Server | undefined;
  let came = 0;
  beforeAll(async () => {
    const server = createServer((socket) => {
      came++;
      socket.destroy();
    }).listen(443, '127.0.0.1');
    door = await once(server, 'listening').then(
      () => server,
      () => undefined,
    );
  });
  afterAll(() => void door?.close());

  it.each([
    'http://169.254.169.254/latest/meta-data/a.png',
    'https://169.254.169.254/latest/meta-data/a.png',
    'https://127.0.0.1/a.png',
    'https://localhost/a.png',
    'https://0x7f.1/a.png',
    'https://2130706433/a.png',
    'https://[::ffff:127.0.0.1]/a.png',
    'https://evil.example/a.png',
  ])('row 27: image prompt at %s: refused, nothing fetched', async (url) => {
    await expectRefused(
      await stack.playground.run(
        stack.playground.users.member,
        'imagine',
        { prompt: `${url} a fox` },
        ENGLISH,
      ),
    );
    // the same address as an attachment, which only a forger can send
    relay.forge = (event, data) => {
      const resolved = (data['data'] as { resolved?: { attachments?: Record<string, Json> } })?.resolved;
      if (event === 'INTERACTION_CREATE')
        for (const file of Object.values(resolved?.attachments ?? {})) file['url'] = url;
      return [data];
    };
    const forged = await stack.playground.run(
      stack.playground.users.member,
      'imagine',
      {
        prompt: 'a fox',
        image: { name: 'a.png', file: Buffer.from('x') },
      },
      ENGLISH,
    );
    await expectRefused(forged, 'Invalid link');
    // not "could not be fetched": it was not tried
    expect(textOf(forged)).toContain('Pictures may come from');
    expect(came).toBe(0);
  });

  const svg = '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>';
  it.each([
    ['a 30,000 x 30,000 PNG', () => bigPng(30_000, 30_000), 'Image too large'],
    ['an SVG', () => Buffer.from(svg), 'Invalid image'],
    [
      'an SVG named PNG behind a PNG signature',
      () => Buffer.concat([pngSignature, Buffer.from(svg)]),
      'Invalid image',
    ],
    ['a GIF', () => Buffer.from('GIF89a\xff\xff\xff\xff\x00\x00\x00', 'latin1'), 'Invalid image'],
    ['a truncated PNG', () => bigPng(64, 64).subarray(0, 50), 'Invalid image'],
    ['zlib garbage', () => deflateSync(Buffer.alloc(1000)), 'Invalid image'],
  ])('row 28: %s: refused before decoding', async (_, file, title) => {
    const handle = await stack.playground.run(
      stack.playground.users.member,
      'imagine',
      {
        prompt: 'a fox',
        image: { name: 'a.png', file: file() },
      },
      ENGLISH,
    );
    await expectRefused(handle, title);
  });
});

const pngSignature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

describe('jobs that nobody queued', () => {
  it('row 35: job data of no version of ours, edited by hand, or with __proto__: refused by schema, the queue goes on', async () => {
    const good = await stack.imagine('whose data is copied');
    await stack.grid(good);
    const { data } = (await stack.queues.deliver.getJob(`d-${good.id}`))!;
    const text = JSON.stringify(data.render);
    const evil = [
      JSON.stringify({ ...data.render, v: '1' }),
      JSON.stringify({ ...data.render, v: 1_000 }),
      JSON.stringify({ ...data.render, steps: 1e9 }),
      JSON.stringify({ ...data.render, model: '../../etc' }),
      text.replace('{', '{"__proto__":{"polluted":true},'),
      text.replace('"params":{}', '"params":{"__proto__":{"tile":true}}'),
      'null',
      '"text"',
    ];
    // Edited by hand in Redis, while nobody runs them; the picture must not be found in the store either.
    await rm(stack.dataDir, { recursive: true, force: true });
    await stack.queues.render.pause();
    const jobs = await Promise.all(
      evil.map(async (edited, i) => {
        const job = await stack.queues.render.add('render', data.render, {
          jobId: `g-evil-${i}`,
          attempts: 1,
        });
        await stack.redis.client.hset(stack.queues.render.toKey(`g-evil-${i}`), 'data', edited);
        return job;
      }),
    );
    await stack.queues.render.resume();
    const { playground } = stack;
    const lookOf = (message: MessageView | undefined) => [
      message?.content,
      message?.attachments[0]?.filename,
    ];
    const look = lookOf(good.message);
    const before = playground.messages().length;
    const whole = JSON.stringify(data);
    const evilDeliver = [
      '{"evil":true}',
      'null',
      whole.replace('"original":true', '"original":true,"webhook":"http://127.0.0.1/"'),
      whole.replace('"action":"imagine"', '"action":"drop-table"'),
      whole.replace('{', '{"__proto__":{"polluted":true},'),
    ];
    const by = { id: good.id, userId: data.render.user.id, applicationId: data.deliver.applicationId };
    const evilAsk = [
      'null',
      JSON.stringify({ ...by, id: '../../etc/passwd' }),
      JSON.stringify({ ...by, v: 1, locale: 'en-US', model: 'tiny', question: { kind: 'format-disk' } }),
      JSON.stringify({ ...by }).replace('{', '{"__proto__":{"polluted":true},'),
    ];
    // What a question answers is shown by its token; this one's picture must stay.
    await stack.redis.client.del(`{dreamgrid}:token:${good.id}`);
    const { deliver, ask } = stack.queues;
    await Promise.all([deliver.pause(), ask.pause()]);
    const others = await Promise.all([
      ...evilDeliver.map(async (edited, i) => {
        const job = await deliver.add('deliver', data, { jobId: `d-evil-${i}`, attempts: 1 });
        await stack.redis.client.hset(deliver.toKey(`d-evil-${i}`), 'data', edited);
        return job;
      }),
      ...evilAsk.map(async (edited, i) => {
        const job = await ask.add('ask', {} as never, { jobId: `a-evil-${i}`, attempts: 1 });
        await stack.redis.client.hset(ask.toKey(`a-evil-${i}`), 'data', edited);
        return job;
      }),
    ]);
    await Promise.all([deliver.resume(), ask.resume()]);
    await stack.grid(await stack.imagine('after the evil ones'));
    const states = await Promise.all(jobs.map((job) => job.getState()));
    expect(states).toEqual(evil.map(() => 'failed'));
    // A question that nobody can read ends without an answer; there is nothing to try again.
    const ends = [...evilDeliver.map(() => 'failed'), ...evilAsk.map(() => 'completed')];
    for (const [i, job] of others.entries())
      await until(async () => (await job.getState()) === ends[i], `${job.id} is ${ends[i]}`);
    expect(playground.messages()).toHaveLength(before + 1);
    expect(lookOf(good.message)).toEqual(look);
  });
});

describe('load', () => {
  it('row 36: 1,000 /imagine by one user in a minute: the cap is told, others wait no longer', async () => {
    const { playground } = stack;
    const started = () => worker.events.filter(({ msg }) => msg === 'painting').map(({ jobId }) => jobId);
    /** How many jobs of others begin while somebody else's waits. */
    const jobsBefore = async (prompt: string): Promise<number> => {
      const other = await stack.imagine(prompt, 'stranger');
      expect(other.message?.ephemeral).toBe(false);
      const from = started().length;
      await stack.grid(other);
      return Math.max(0, started().slice(from).indexOf(other.id));
    };
    const few = await Promise.all([stack.imagine('first of two'), stack.imagine('second of two')]);
    const usual = await jobsBefore('of somebody else, before');
    for (const handle of few) await stack.grid(handle);
    const began = performance.now();
    const handles: InteractionHandle[] = [];
    const wave = async (from: number): Promise<void> => {
      handles.push(
        ...(await Promise.all(Array.from({ length: 25 }, (_, i) => stack.imagine(`flood ${from + i}`)))),
      );
    };
    for (let from = 0; from < 500; from += 25) await wave(from);
    const flood = wave(500);
    expect(await jobsBefore('of somebody else')).toBeLessThanOrEqual(usual + 1);
    await flood;
    for (let from = 525; from < 1_000; from += 25) await wave(from);
    expect(handles).toHaveLength(1_000);
    reportWithin('row 36: a thousand /imagine by one user', performance.now() - began, 60_000);
    expect(handles.every(({ state }) => state === 'acknowledged')).toBe(true);
    const refused = handles.filter(({ message }) => message?.ephemeral);
    expect(refused.length).toBeGreaterThan(500);
    expect(new Set(refused.map(titleOf))).toEqual(new Set(['Queue full']));
    for (const handle of handles) if (!handle.message?.ephemeral) await stack.grid(handle);
    expect(playground.violations).toEqual([]);
  });

  it('row 34: no token, password or prompt in any log of all of this', async () => {
    await stack.expectClean();
    const lines = stack.processes.flatMap((process) => process.lines);
    expect(lines.length).toBeGreaterThan(20);
    expect(lines.join('\n')).not.toContain(CANARY.prompt);
  });
});
