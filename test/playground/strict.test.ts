import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ManualClock, manualClock, type Playground, startPlayground } from '../../playground/index.ts';
import { request, waiting } from './rest.ts';

let pg: Playground;
let clock: ManualClock;
beforeEach(async () => {
  clock = manualClock();
  pg = await startPlayground({ clock });
});
afterEach(() => pg.close());

const button = (id: string, label = 'U1') => ({ type: 2, style: 2, custom_id: id, label });
const say = (data: unknown) => ({ type: 4, data });

describe('the two clocks of an interaction', () => {
  test('an answer after 3 seconds meets 10062, and the person sees that nobody answered', async () => {
    const { handle, callback } = await waiting(pg);
    clock.advance(3001);
    expect(handle.state).toBe('failed');
    expect(await callback(say({ content: 'late' }))).toMatchObject({ status: 404, body: { code: 10062 } });
    expect(pg.messages()).toEqual([]);
  });
  test('a second acknowledgement meets 40060', async () => {
    const { callback } = await waiting(pg);
    expect((await callback(say({ content: 'one' }))).status).toBe(204);
    expect(await callback(say({ content: 'two' }))).toMatchObject({ status: 400, body: { code: 40060 } });
    expect(pg.messages()).toHaveLength(1);
  });
  test('the token dies after 15 minutes with 401 and 50027', async () => {
    const { callback, original } = await waiting(pg);
    await callback({ type: 5 });
    clock.advance(15 * 60_000 - 1);
    expect((await original('PATCH', { content: 'in time' })).status).toBe(200);
    clock.advance(2);
    expect(await original('PATCH', { content: 'late' })).toMatchObject({
      status: 401,
      body: { code: 50027 },
    });
  });
  test('an interaction is forgotten an hour later: it was answered once, and is now as one that never was', async () => {
    const { handle, callback, original } = await waiting(pg);
    await callback({ type: 5 });
    clock.advance(60 * 60_000);
    expect(await callback({ type: 5 })).toMatchObject({ status: 400, body: { code: 40060 } });
    const next = await waiting(pg);
    expect(await callback({ type: 5 })).toMatchObject({ status: 404, body: { code: 10062 } });
    expect(await original('PATCH', { content: 'x' })).toMatchObject({ status: 401, body: { code: 50027 } });
    expect(handle.message!.loading).toBe(true);
    expect((await next.callback({ type: 5 })).status).toBe(204);
  });
  test('nothing can be edited before it was acknowledged', async () => {
    const { original, followup } = await waiting(pg);
    expect(await original('PATCH', { content: 'x' })).toMatchObject({ status: 404, body: { code: 10015 } });
    expect(await followup({ content: 'x' })).toMatchObject({ status: 404, body: { code: 10015 } });
  });
  test('the first follow-up fills a deferred answer; the next is a message of its own', async () => {
    const { handle, callback, followup } = await waiting(pg);
    await callback({ type: 5 });
    expect(handle.message!.loading).toBe(true);
    await followup({ content: 'here it is' });
    expect(pg.messages().map((m) => m.content)).toEqual(['here it is']);
    await followup({ content: 'and more' });
    expect(handle.followups.map((m) => m.content)).toEqual(['and more']);
  });
});

describe('bodies that Discord refuses, in Discord’s words', () => {
  const cases: [string, unknown, string, string][] = [
    ['content over 2,000', { content: 'x'.repeat(2001) }, 'content', 'BASE_TYPE_MAX_LENGTH'],
    [
      'six rows',
      {
        content: 'x',
        components: Array.from({ length: 6 }, (_, i) => ({ type: 1, components: [button(`b${i}`)] })),
      },
      'components',
      'BASE_TYPE_BAD_LENGTH',
    ],
    [
      'six buttons in a row',
      {
        content: 'x',
        components: [{ type: 1, components: Array.from({ length: 6 }, (_, i) => button(`b${i}`)) }],
      },
      'components.0.components',
      'BASE_TYPE_BAD_LENGTH',
    ],
    [
      'one custom id twice',
      { content: 'x', components: [{ type: 1, components: [button('a'), button('a')] }] },
      'components.0.components.1.custom_id',
      'COMPONENT_CUSTOM_ID_DUPLICATED',
    ],
    [
      'custom id over 100',
      { content: 'x', components: [{ type: 1, components: [button('i'.repeat(101))] }] },
      'components.0.components.0.custom_id',
      'BASE_TYPE_MAX_LENGTH',
    ],
    [
      'label over 80',
      { content: 'x', components: [{ type: 1, components: [button('a', 'l'.repeat(81))] }] },
      'components.0.components.0.label',
      'BASE_TYPE_MAX_LENGTH',
    ],
    [
      'a button without words',
      { content: 'x', components: [{ type: 1, components: [{ type: 2, style: 2, custom_id: 'a' }] }] },
      'components.0.components.0',
      'BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED',
    ],
    [
      'a word for an emoji',
      { content: 'x', components: [{ type: 1, components: [{ ...button('a'), emoji: { name: 'arrow' } }] }] },
      'components.0.components.0.emoji.name',
      'COMPONENT_INVALID_EMOJI',
    ],
    [
      'embeds of 6,001 in sum',
      { embeds: [{ description: 'd'.repeat(4000) }, { description: 'd'.repeat(2001) }] },
      'embeds',
      'MAX_EMBED_SIZE_EXCEEDED',
    ],
    [
      'an empty field name',
      { embeds: [{ title: 't', fields: [{ name: '', value: 'v' }] }] },
      'embeds.0.fields.0.name',
      'BASE_TYPE_REQUIRED',
    ],
    [
      'an attachment that was not sent',
      { content: 'x', attachments: [{ id: '0' }] },
      'attachments.0',
      'ATTACHMENT_NOT_FOUND',
    ],
    [
      'parse and users at once',
      { content: 'x', allowed_mentions: { parse: ['users'], users: ['1190000000000000010'] } },
      'allowed_mentions',
      'MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE',
    ],
    ['content that is a number', { content: 5 }, 'content', 'BASE_TYPE_BAD_TYPE'],
  ];
  test.each(cases)('%s', async (_name, body, path, code) => {
    const answer = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, body);
    expect(answer).toMatchObject({ status: 400, body: { code: 50035, message: 'Invalid Form Body' } });
    const node = path.split('.').reduce((n, k) => n?.[k], answer.body.errors);
    expect(node?._errors?.[0]?.code, JSON.stringify(answer.body)).toBe(code);
    expect(pg.messages()).toEqual([]);
    expect(pg.violations[0]).toMatchObject({ kind: 'invalid' });
  });
  test('an empty message is 50006', async () => {
    expect(await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: ' ' })).toMatchObject({
      status: 400,
      body: { code: 50006 },
    });
  });
  test('a file over 10 MiB is 413 and 40005', async () => {
    const form = new FormData();
    form.set('payload_json', JSON.stringify({ content: 'x' }));
    form.set('files[0]', new Blob([new Uint8Array(10 * 1024 * 1024 + 1)]), 'big.png');
    expect(await request(pg, 'POST', `/channels/${pg.channelId}/messages`, form)).toMatchObject({
      status: 413,
      body: { code: 40005 },
    });
  });
  test('unknown fields pass as on Discord, and are noted', async () => {
    expect(
      (await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'x', colour: 'red' }))
        .status,
    ).toBe(200);
    expect(pg.violations).toMatchObject([{ kind: 'unknown-field', detail: 'colour' }]);
  });
  test('a mention that would ping is noted; one that is meant or silenced is not', async () => {
    const post = (body: unknown) => request(pg, 'POST', `/channels/${pg.channelId}/messages`, body);
    const content = `<@${pg.users.member}> look`;
    await post({ content, allowed_mentions: { parse: [] } });
    await post({ content, allowed_mentions: { users: [pg.users.member] } });
    await post({ content: '`@everyone`' });
    expect(pg.violations).toEqual([]);
    await post({ content });
    await post({ content: '@everyone' });
    expect(pg.violations.map((v) => v.kind)).toEqual(['ping', 'ping']);
  });
  test('only one person may be named on purpose, and text displays count as text', async () => {
    const post = (body: unknown) => request(pg, 'POST', `/channels/${pg.channelId}/messages`, body);
    const content = `<@${pg.users.member}> look`;
    await post({
      content: `${content} <@${pg.users.stranger}>`,
      allowed_mentions: { users: [pg.users.member] },
    });
    expect(pg.violations).toEqual([]);
    const both = [pg.users.member, pg.users.stranger];
    await post({ content: `${content} <@${pg.users.stranger}>`, allowed_mentions: { users: both } });
    expect(pg.violations).toHaveLength(2);
    await post({ flags: 1 << 15, components: [{ type: 10, content }] });
    expect(pg.violations.map((v) => v.kind)).toEqual(['ping', 'ping', 'ping']);
  });
  test('whoever is named on purpose is whom the message answers', async () => {
    const naming = (id: string) => ({ content: `<@${id}>`, allowed_mentions: { users: [id] } });
    const { handle, callback, original, followup } = await waiting(pg);
    const post = (body: object) => request(pg, 'POST', `/channels/${pg.channelId}/messages`, body);
    const { member, stranger } = pg.users;
    await callback(say(naming(member)));
    await original('PATCH', naming(member));
    await followup(naming(member));
    await post({ ...naming(member), nonce: `${handle.id}.1` });
    expect(pg.violations).toEqual([]);
    await original('PATCH', naming(stranger));
    await followup(naming(stranger));
    await post({ ...naming(stranger), nonce: `${handle.id}.2` });
    const edit = `/channels/${pg.channelId}/messages/${handle.message!.id}`;
    await request(pg, 'PATCH', edit, naming(stranger));
    expect(pg.violations.map((v) => v.kind)).toEqual(['ping', 'ping', 'ping', 'ping']);
  });
  test('an edit that would ping, were it the answer to a deferral, is noted as well', async () => {
    const content = `<@${pg.users.member}> look`;
    const { body } = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'x' });
    const edit = (patch: unknown) =>
      request(pg, 'PATCH', `/channels/${pg.channelId}/messages/${(body as { id: string }).id}`, patch);
    await edit({ content, allowed_mentions: { parse: [] } });
    await edit({ content, allowed_mentions: { users: [pg.users.member] } });
    await edit({ embeds: [] });
    expect(pg.violations).toEqual([]);
    await edit({ content });
    expect(pg.violations.map((v) => v.kind)).toEqual(['ping']);
    const { callback, original } = await waiting(pg);
    await callback({ type: 5 });
    await original('PATCH', { content: 'hello @everyone' });
    expect(pg.violations.map((v) => v.kind)).toEqual(['ping', 'ping']);
  });
  test('callback types that do not fit are refused', async () => {
    const { callback } = await waiting(pg);
    expect(await callback({ type: 7, data: { content: 'x' } })).toMatchObject({
      status: 400,
      body: { code: 50035 },
    });
    expect(await callback({ type: 99 })).toMatchObject({ status: 400, body: { code: 50035 } });
    expect(
      (await callback({ type: 9, data: { custom_id: 'm', title: 't'.repeat(46), components: [] } })).body
        .errors.data.title,
    ).toBeDefined();
  });
});

describe('commands', () => {
  const put = (commands: unknown[]) =>
    request(pg, 'PUT', `/applications/${pg.applicationId}/commands`, commands);
  const command = { name: 'imagine', description: 'Paint' };
  test.each([
    ['an upper case name', [{ ...command, name: 'Imagine' }], '0.name'],
    ['a locale nobody speaks', [{ ...command, name_localizations: { xx: 'a' } }], '0.name_localizations.xx'],
    ['one name twice', [command, command], '1.name'],
    [
      'required after optional',
      [
        {
          ...command,
          options: [
            { type: 3, name: 'a', description: 'a' },
            { type: 3, name: 'b', description: 'b', required: true },
          ],
        },
      ],
      '0.options.1',
    ],
    [
      '26 options',
      [
        {
          ...command,
          options: Array.from({ length: 26 }, (_, i) => ({ type: 3, name: `o${i}`, description: 'o' })),
        },
      ],
      '0.options',
    ],
  ])('%s', async (_name, commands, path) => {
    const answer = await put(commands);
    expect(answer).toMatchObject({ status: 400, body: { code: 50035 } });
    const node = path.split('.').reduce((n, k) => n?.[k], answer.body.errors);
    expect(node?._errors?.length, JSON.stringify(answer.body)).toBeGreaterThan(0);
    expect(pg.commands).toEqual([]);
  });
  test('a description over 100', async () => {
    expect(await put([{ ...command, description: 'd'.repeat(101) }])).toMatchObject({
      status: 400,
      body: { code: 50035 },
    });
  });
  test('a second PUT keeps the ids of the same names', async () => {
    const first = await put([command]);
    const second = await put([
      { ...command, description: 'Paint more' },
      { name: 'info', description: 'i' },
    ]);
    expect(second.body[0].id).toBe(first.body[0].id);
    expect(second.body[0].version).not.toBe(first.body[0].version);
  });
});

describe('messages', () => {
  test('a repeated POST with the same enforced nonce makes one message', async () => {
    const post = () =>
      request(pg, 'POST', `/channels/${pg.channelId}/messages`, {
        content: 'once',
        nonce: 'job-1',
        enforce_nonce: true,
      });
    const [a, b] = [await post(), await post()];
    expect(b.body.id).toBe(a.body.id);
    expect(pg.messages()).toHaveLength(1);
    clock.advance(5 * 60_000);
    expect((await post()).body.id).not.toBe(a.body.id);
  });
  test('an edit drops the attachments it does not list and keeps those it does', async () => {
    const form = new FormData();
    form.set(
      'payload_json',
      JSON.stringify({
        content: 'x',
        attachments: [
          { id: '0', filename: 'a.txt' },
          { id: 1, filename: 'b.txt' },
        ],
      }),
    );
    form.set('files[0]', new Blob(['a']), 'a.txt');
    form.set('files[1]', new Blob(['b']), 'b.txt');
    const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, form);
    const path = `/channels/${pg.channelId}/messages/${made.body.id}`;
    await request(pg, 'PATCH', path, { content: 'y' });
    expect(pg.message(made.body.id)!.attachments.map((a) => a.filename)).toEqual(['a.txt', 'b.txt']);
    await request(pg, 'PATCH', path, { attachments: [{ id: made.body.attachments[1].id }] });
    expect(pg.message(made.body.id)!.attachments.map((a) => a.data.toString())).toEqual(['b']);
    expect(pg.message(made.body.id)!.edited).toBe(true);
  });
  test('a file that `attachments` leaves out is noted', async () => {
    const form = new FormData();
    form.set('payload_json', JSON.stringify({ content: 'x', attachments: [] }));
    form.set('files[0]', new Blob(['a']), 'a.txt');
    await request(pg, 'POST', `/channels/${pg.channelId}/messages`, form);
    expect(pg.violations).toMatchObject([{ kind: 'unlisted-file', detail: 'a.txt' }]);
  });
  test('a file name keeps no path', async () => {
    const form = new FormData();
    form.set('payload_json', JSON.stringify({ content: 'x' }));
    form.set('files[0]', new Blob(['a']), '../../etc/pass wd.png');
    const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, form);
    expect(made.body.attachments[0].filename).toBe('pass_wd.png');
  });
  test('attachment links are signed and expire; a read gives a fresh one', async () => {
    const form = new FormData();
    form.set('payload_json', JSON.stringify({ content: 'x' }));
    form.set('files[0]', new Blob(['hello']), 'a.txt');
    const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, form);
    const old: string = made.body.attachments[0].url;
    expect(await (await fetch(old)).text()).toBe('hello');
    expect((await fetch(old.replace('hm=', 'hm=0'))).status).toBe(404);
    clock.advance(26 * 3_600_000);
    expect((await fetch(old)).status).toBe(404);
    const again = await request(pg, 'GET', `/channels/${pg.channelId}/messages/${made.body.id}`);
    expect((await fetch(again.body.attachments[0].url)).status).toBe(200);
  });
  test('what is not there has Discord’s codes', async () => {
    const none = '1190000000000009999';
    expect((await request(pg, 'GET', `/channels/${none}`)).body.code).toBe(10003);
    expect(
      (await request(pg, 'PATCH', `/channels/${pg.channelId}/messages/${none}`, { content: 'x' })).body.code,
    ).toBe(10008);
    const theirs = pg.say(pg.users.member, 'mine');
    expect(
      (await request(pg, 'PATCH', `/channels/${pg.channelId}/messages/${theirs.id}`, { content: 'x' })).body
        .code,
    ).toBe(50005);
    expect((await request(pg, 'GET', '/users/@me', undefined, false)).status).toBe(401);
    expect((await request(pg, 'GET', '/nowhere')).status).toBe(404);
  });
  test('ephemeral messages do not exist for the channel’s endpoints', async () => {
    const { handle, callback, original } = await waiting(pg);
    await callback(say({ content: 'only you', flags: 64 }));
    const id = handle.message!.id;
    expect((await request(pg, 'GET', `/channels/${pg.channelId}/messages/${id}`)).body.code).toBe(10008);
    expect((await original('GET')).body.id).toBe(id);
    expect(pg.messages(pg.channelId, pg.users.stranger)).toEqual([]);
  });
  test('a message older than an hour takes few edits, then 30046', async () => {
    const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'old' });
    clock.advance(3_600_001);
    const codes: (number | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      codes.push(
        (
          await request(pg, 'PATCH', `/channels/${pg.channelId}/messages/${made.body.id}`, {
            content: `${i}`,
          })
        ).body.code,
      );
      clock.advance(5001);
    }
    expect(codes).toEqual([undefined, undefined, undefined, undefined, undefined, 30046]);
  });
  test('reactions and direct messages', async () => {
    const made = await request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'x' });
    const at = `/channels/${pg.channelId}/messages/${made.body.id}/reactions`;
    expect((await request(pg, 'PUT', `${at}/${encodeURIComponent('❤️')}/@me`)).status).toBe(204);
    clock.advance(300);
    expect((await request(pg, 'PUT', `${at}/word/@me`)).body.code).toBe(10014);
    pg.react(pg.users.member, made.body.id, '❤️');
    expect(pg.message(made.body.id)!.reactions[0]!.users).toEqual([pg.applicationId, pg.users.member]);
    const dm = await request(pg, 'POST', '/users/@me/channels', { recipient_id: pg.users.member });
    expect(dm.body).toMatchObject({ type: 1, id: pg.dm(pg.users.member) });
    expect((await request(pg, 'POST', `/channels/${dm.body.id}/messages`, { content: 'hello' })).status).toBe(
      200,
    );
    expect(pg.messages(dm.body.id)).toHaveLength(1);
  });
  test('snowflakes have 17 to 19 digits and grow', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => pg.say(pg.users.member, `${i}`).id);
    expect(ids.every((id) => /^\d{17,19}$/.test(id))).toBe(true);
    expect([...ids].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))).toEqual(ids);
    expect(new Set(ids).size).toBe(50);
  });
});

describe('rate limits and trouble', () => {
  test('a webhook token takes 5 requests in 2 seconds, with the headers that say so', async () => {
    const { callback, original } = await waiting(pg);
    await callback({ type: 5 });
    for (let i = 0; i < 5; i++) {
      const answer = await original('PATCH', { content: `${i}` });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('x-ratelimit-remaining')).toBe(String(4 - i));
    }
    const over = await original('PATCH', { content: 'x' });
    expect(over).toMatchObject({
      status: 429,
      body: { message: 'You are being rate limited.', global: false },
    });
    expect(over.body.retry_after).toBeLessThanOrEqual(2);
    expect(over.headers.get('x-ratelimit-scope')).toBe('user');
    clock.advance(2001);
    expect((await original('PATCH', { content: 'y' })).status).toBe(200);
  });
  test('429, 500, a cut connection and a lost answer on demand', async () => {
    const get = () => request(pg, 'GET', '/users/@me');
    pg.trouble.add({ kind: '429', retryAfter: 2 });
    expect(await get()).toMatchObject({ status: 429, body: { retry_after: 2 } });
    pg.trouble.add({ kind: '500', times: 2, match: /GET \/users/ });
    expect([(await get()).status, (await get()).status, (await get()).status]).toEqual([500, 500, 200]);
    pg.trouble.add({ kind: 'reset' });
    await expect(get()).rejects.toThrow();
    pg.trouble.add({ kind: 'lost-answer' });
    await expect(
      request(pg, 'POST', `/channels/${pg.channelId}/messages`, { content: 'done' }),
    ).rejects.toThrow();
    expect(pg.messages().map((m) => m.content)).toEqual(['done']);
  });
});
