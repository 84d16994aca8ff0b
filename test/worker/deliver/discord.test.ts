import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Discord,
  type DiscordError,
  openDiscord,
  type Target,
} from '../../../worker/deliver/discord.ts';
import { APPLICATION, CHANNEL, MESSAGE } from '../../support/jobs.ts';
import { type Recorder, startRecorder } from '../../support/recorder.ts';

let recorder: Recorder;
let discord: Discord;
const waits: number[] = [];

beforeAll(async () => {
  recorder = await startRecorder();
});
beforeEach(() => {
  recorder.requests.length = 0;
  recorder.answer = () => undefined;
  waits.length = 0;
  discord = openDiscord({
    api: recorder.api,
    botToken: 'bot-canary',
    timeoutMs: 500,
    wait: async (ms) => void waits.push(ms),
  });
});
afterAll(() => recorder.close());

const byToken: Target = { by: 'token', applicationId: APPLICATION, token: 'tok', messageId: undefined };
const byId: Target = { by: 'message', channelId: CHANNEL, messageId: MESSAGE };
const troubleOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: DiscordError) => error.trouble,
  );

describe('requests', () => {
  it('an edit by token carries no bot token; one by id does', async () => {
    await discord.edit(byToken, { body: { content: 'a' } });
    await discord.edit(byId, { body: { content: 'b' } });
    await discord.edit({ ...byToken, messageId: MESSAGE } as Target, { body: {} });
    expect(
      recorder.requests.map(({ method, path, authorization, body }) => [method, path, authorization, body]),
    ).toEqual([
      ['PATCH', `/api/v10/webhooks/${APPLICATION}/tok/messages/@original`, undefined, { content: 'a' }],
      ['PATCH', `/api/v10/channels/${CHANNEL}/messages/${MESSAGE}`, 'Bot bot-canary', { content: 'b' }],
      ['PATCH', `/api/v10/webhooks/${APPLICATION}/tok/messages/${MESSAGE}`, undefined, {}],
    ]);
  });

  it('a file goes as files[0] beside payload_json', async () => {
    const bytes = Buffer.from([1, 2, 3]);
    await discord.edit(byToken, {
      body: { content: 'x' },
      file: { name: 'a.png', bytes, type: 'image/png' },
    });
    expect(recorder.requests[0]).toMatchObject({
      body: { content: 'x' },
      files: [{ name: 'a.png', type: 'image/png', bytes }],
    });
  });

  it('a create carries a nonce that cannot be posted twice', async () => {
    expect(await discord.create(CHANNEL, { body: { content: 'x' } }, 'job')).toBe('1100000000000000001');
    expect(recorder.requests[0]).toMatchObject({
      method: 'POST',
      path: `/api/v10/channels/${CHANNEL}/messages`,
      body: { content: 'x', nonce: 'job', enforce_nonce: true },
    });
  });
});

describe('what an answer means', () => {
  it.each([
    [500, {}, 'transient'],
    [502, '<html>bad gateway</html>', 'transient'],
    [401, { code: 50027 }, 'token-expired'],
    [401, { message: '401: Unauthorized', code: 0 }, 'token-expired'],
    [401, '<html>blocked', 'transient'],
    [403, '<html>You have been blocked', 'transient'],
    [404, '', 'transient'],
    [405, '<html>', 'transient'],
    [405, { message: '405: Method Not Allowed', code: 0 }, 'refused'],
    [404, { code: 10015 }, 'token-expired'],
    [404, { code: 10008 }, 'gone'],
    [404, { code: 10003 }, 'gone'],
    [403, { code: 50013 }, 'forbidden'],
    [403, { code: 50001 }, 'forbidden'],
    [400, { code: 40005 }, 'too-large'],
    [413, 'too large', 'too-large'],
    [400, { code: 30046 }, 'rate-limited'],
    [400, { code: 50035 }, 'refused'],
  ])('%i %j is %s', async (status, body, trouble) => {
    recorder.answer = () => ({ status, body });
    expect(await troubleOf(discord.edit(byToken, { body: {} }))).toBe(trouble);
    expect(recorder.requests).toHaveLength(1);
  });

  it('a 401 on the bot token is not an expired interaction', async () => {
    recorder.answer = () => ({ status: 401, body: { message: '401: Unauthorized', code: 0 } });
    expect(await troubleOf(discord.edit(byId, { body: {} }))).toBe('forbidden');
  });

  it('a hang and a broken connection are transient', async () => {
    recorder.answer = () => 'hang';
    expect(await troubleOf(discord.edit(byToken, { body: {} }))).toBe('transient');
    recorder.answer = () => 'reset';
    expect(await troubleOf(discord.edit(byToken, { body: {} }))).toBe('transient');
  });

  it('errors name where the payload is wrong and never what it says, nor the token', async () => {
    const errors = {
      components: { 0: { _errors: [{ code: 'BASE_TYPE_REQUIRED', message: 'secret prompt' }] } },
    };
    recorder.answer = () => ({ status: 400, body: { code: 50035, message: 'secret prompt', errors } });
    const error = await discord
      .edit(byToken, { body: { content: 'secret prompt' } })
      .catch((e: DiscordError) => e);
    expect((error as DiscordError).message).toBe(
      'Discord answered 400 (code 50035): components.0 BASE_TYPE_REQUIRED',
    );
    expect(JSON.stringify(error)).not.toMatch(/secret|tok/);
  });
});

describe('429', () => {
  const limited = (retry_after: number, extra = {}) => ({ status: 429, body: { retry_after, ...extra } });

  it('is waited for as told where there is patience, and given up where not', async () => {
    let left = 2;
    recorder.answer = () => (left-- > 0 ? limited(1.5) : undefined);
    await discord.edit(byToken, { body: {} }, { patienceMs: 10_000 });
    expect(waits).toEqual([1500, 1500]);
    expect(recorder.requests).toHaveLength(3);

    recorder.answer = () => limited(1.5);
    const error = await discord.edit(byToken, { body: {} }).catch((e: DiscordError) => e);
    expect(error).toMatchObject({ trouble: 'rate-limited', retryAfterMs: 1500 });
    expect(waits).toHaveLength(2);
  });

  it('patience ends', async () => {
    recorder.answer = () => limited(4);
    expect(await troubleOf(discord.edit(byToken, { body: {} }, { patienceMs: 10_000 }))).toBe('rate-limited');
    expect(waits).toEqual([4000, 4000]);
  });

  it('one for the whole bot holds the other routes too', async () => {
    recorder.answer = () => limited(30, { global: true });
    expect(await troubleOf(discord.edit(byToken, { body: {} }))).toBe('rate-limited');
    recorder.answer = () => undefined;
    expect(await troubleOf(discord.edit(byId, { body: {} }))).toBe('rate-limited');
    expect(recorder.requests).toHaveLength(1);
  });

  it('an error page without JSON is waited for by its header', async () => {
    let left = 1;
    recorder.answer = () =>
      left-- > 0 ? { status: 429, body: '<html>', headers: { 'retry-after': '2' } } : undefined;
    await discord.edit(byToken, { body: {} }, { patienceMs: 10_000 });
    expect(waits).toEqual([2000]);
  });
});
