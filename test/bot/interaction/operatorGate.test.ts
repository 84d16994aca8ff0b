import { describe, expect, it } from 'vitest';
import { refusedUse } from '../../../bot/interaction/operatorGate.ts';
import { keys } from '../../../shared/queue/redis.ts';
import { readEnv } from '../../../shared/service/env.ts';
import { COMMANDS } from '../../operations/permissions.ts';
import { PEOPLE, refusal, useScene } from '../../support/bot.ts';
import { finish } from '../../support/finish.ts';
import { isMessage, startProcess } from '../../support/processes.ts';

const FOX = 'a fox in the snow at night';
const EN = { locale: 'en-US' };
const MAI = '1190000000000000010';
const LINH = '1190000000000000011';
const OURS = '1190000000000000100';
const THEIRS = '1190000000000000999';

describe('whom the operator lets in', () => {
  const code = (source: NodeJS.ProcessEnv, id: string, guildId?: string): string | undefined =>
    refusedUse(readEnv(source), { user: { id }, guildId })?.code;

  it('everybody everywhere, unless something is said', () => {
    for (const guildId of [OURS, THEIRS, undefined]) expect(code({}, MAI, guildId)).toBeUndefined();
  });

  it('by person, server and direct message', () => {
    expect(code({ BLOCKED_USERS: `${LINH}, ${MAI}` }, MAI, OURS)).toBe('blocked-operator');
    expect(code({ BLOCKED_USERS: LINH }, MAI)).toBeUndefined();
    expect(code({ ALLOWED_GUILDS: OURS }, MAI, OURS)).toBeUndefined();
    expect(code({ ALLOWED_GUILDS: OURS }, MAI, THEIRS)).toBe('wrong-server');
    expect(code({ ALLOWED_GUILDS: OURS }, MAI)).toBeUndefined();
    expect(code({ DIRECT_MESSAGES: 'off' }, MAI)).toBe('no-direct');
    expect(code({ DIRECT_MESSAGES: 'off' }, MAI, OURS)).toBeUndefined();
  });

  it.each([{ BLOCKED_USERS: 'mai' }, { ALLOWED_GUILDS: '*' }, { DIRECT_MESSAGES: '0' }])(
    'refuses to start with %o',
    (source) => expect(() => readEnv(source)).toThrow(Object.keys(source)[0] as string),
  );
});

describe('somebody whom the operator blocked, no direct messages, strict word lists', {
  timeout: 240_000,
}, () => {
  const scene = useScene({ env: { BLOCKED_USERS: LINH, DIRECT_MESSAGES: 'off', MODERATION: 'strict' } });
  const users = PEOPLE;
  const imagine = (user: string, prompt = FOX, channelId = scene.discord.channelId) =>
    scene.discord.run(user, 'imagine', { prompt }, { ...EN, channelId });

  it('is answered nowhere: commands, buttons, right clicks, reactions, suggestions', async () => {
    const { id: jobId } = await imagine(users.member);
    const { messageId } = await finish(scene, jobId);
    const off = 'Dreamgrid is off for you';
    expect(refusal(await imagine(users.stranger))).toBe(off);
    expect(refusal(await imagine(users.stranger, FOX, scene.discord.dm(users.stranger)))).toBe(off);
    expect(refusal(await scene.discord.run(users.stranger, 'help', {}, EN))).toBe(off);
    expect(refusal(await scene.discord.click(users.stranger, messageId, 'U1', EN))).toBe(off);
    expect(refusal(await scene.discord.messageCommand(users.stranger, messageId, 'Inspect', EN))).toBe(off);
    const typing = await scene.discord.autocomplete(users.stranger, 'imagine', 'model', {
      prompt: FOX,
      model: '',
    });
    expect(typing.choices).toEqual([]);
    scene.discord.react(users.stranger, messageId, '✉️');
    scene.discord.react(users.member, messageId, '✉️');
    await scene.bot.logged((event) => event['msg'] === 'sent by direct message');
    expect(
      scene.discord.messages(scene.discord.dm(users.stranger)).filter(({ ephemeral }) => !ephemeral),
    ).toEqual([]);
    expect(await scene.waiting()).toEqual([`g-${jobId}`]);
    await scene.bot.logged(
      (event) => event['audit'] === 'blocked-operator' && event['userId'] === users.stranger,
    );
  });

  it('keeps what is theirs: /mydata', async () => {
    await scene.redis.client.hset(keys.settings(users.stranger), 'raw', 'true');
    const exported = await scene.discord.run(users.stranger, 'mydata export', {}, EN);
    expect(exported.message?.attachments).toHaveLength(1);
    const asked = await scene.discord.run(users.stranger, 'mydata erase', {}, EN);
    const question = asked.message?.id as string;
    await scene.discord.click(users.stranger, question, 'Erase everything', EN);
    await expect.poll(() => scene.redis.client.exists(keys.settings(users.stranger))).toBe(0);
  });

  it('what they had in line before is stopped when the bot starts', async () => {
    const { id } = await imagine(users.member);
    await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === id);
    const next = startProcess('bot/main.ts', { ...scene.env, BLOCKED_USERS: MAI });
    await next.logged(isMessage('blocked by the operator; stopped what waited'));
    expect(await scene.waiting()).toEqual([]);
    next.signal('SIGTERM');
    await next.ended;
  });

  it('on servers only', async () => {
    const dm = scene.discord.dm(users.member);
    expect(refusal(await imagine(users.member, FOX, dm))).toBe('Not in direct messages');
    const help = await scene.discord.run(users.member, 'help', {}, { ...EN, channelId: dm });
    expect(refusal(help)).toBe('Not in direct messages');
    expect((await imagine(users.member)).message?.content).toContain('(Waiting to start)');
    expect(await scene.waiting()).toHaveLength(1);
  });

  it('no server loosens strict word lists', async () => {
    const { guildId, loungeId } = scene.discord;
    await scene.redis.client.hset(keys.server(guildId), { moderation: 'false', adults: 'true' });
    scene.discord.restrict(loungeId, true);
    try {
      for (const prompt of ['a nude', 'gore', 'a f4ggot'])
        expect(refusal(await imagine(users.member, prompt, loungeId)), prompt).toBe('Banned prompt');
    } finally {
      scene.discord.restrict(loungeId, false);
    }
    const panel = await scene.discord.run(users.owner, 'dreamgrid setup', {}, EN);
    const text = panel.message?.embeds[0]?.['description'];
    expect(text).toContain('**Word lists:** on');
    expect(text).toContain('**Age-restricted channels:** the same rules as elsewhere');
    expect(await scene.waiting()).toEqual([]);
  });
});

describe('a server that is not allowed', { timeout: 240_000 }, () => {
  const scene = useScene({ env: { ALLOWED_GUILDS: THEIRS } });

  it('hears from every command, in private, that this bot is not for it', async () => {
    const { owner } = scene.discord.users;
    const fox = { name: 'fox.png', file: Buffer.from('never fetched') };
    for (const { path, options = {} } of COMMANDS) {
      const given = Object.fromEntries(
        Object.entries(options).map(([name, value]) => {
          if (value === '$member') return [name, owner];
          return [name, /^\$p/.test(value) ? fox : value];
        }),
      );
      expect(refusal(await scene.discord.run(owner, path, given, EN)), path).toBe('Not on this server');
    }
    const dm = { ...EN, channelId: scene.discord.dm(owner) };
    const asked = await scene.discord.run(owner, 'imagine', { prompt: FOX }, dm);
    expect(asked.message?.content).toContain('(Waiting to start)');
    expect(await scene.waiting()).toEqual([`g-${asked.id}`]);
  });
});
