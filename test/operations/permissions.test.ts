import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PermissionFlagsBits } from 'discord.js';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTROLS, type Control, printControl } from '../../bot/server/panelControls.ts';
import { ClientRefusal, type InteractionHandle, type OptionValue } from '../../playground/index.ts';
import { sayError } from '../../shared/messages/index.ts';
import { BUTTON_ACTIONS, type ButtonAction, printCustomId } from '../../shared/picture/customId.ts';
import { keys } from '../../shared/queue/redis.ts';
import { openScene, reader, type Scene } from '../support/bot.ts';
import { until } from '../support/faults.ts';
import { finish } from '../support/finish.ts';
import {
  APPS,
  BUTTONS,
  type ButtonRow,
  COMMANDS,
  ROLE_NAMES,
  ROLES,
  type Role,
  type Subject,
} from './permissions.ts';

const page = join(resolve(import.meta.dirname, '../..'), 'docs/security.md');
const REFUSALS = ['not-yours', 'not-manager', 'not-your-job', 'no-job', 'forged', 'fix-gone'].map(
  (code) => sayError('en-US', code, {}, 'broke').title,
);
/** Of the menus that must have a choice. */
const VALUES: Partial<Record<Control, string[]>> = { model: ['*'], safety: ['operator'] };
const BASIC =
  PermissionFlagsBits.ViewChannel |
  PermissionFlagsBits.SendMessages |
  PermissionFlagsBits.UseApplicationCommands;

describe('every command and button, by every role', { timeout: 240_000 }, () => {
  let scene: Scene;
  let users: Record<Role, string>;
  let outside: string;
  let picture: Buffer;
  /** A message of the bot that only the outsider has. */
  let doorstep: string;
  const subjects = new Map<Subject, string>();
  let onGrid: string;

  beforeAll(async () => {
    scene = await openScene({
      env: { MAX_OPEN_JOBS: '1000', SLOW_MODE_WAIT_S: '0' },
      models: [reader],
      playground: {
        rights: {
          moderator: BASIC | PermissionFlagsBits.ManageMessages,
          owner: BASIC | PermissionFlagsBits.ManageGuild,
        },
      },
    });
    const { member, stranger, moderator, owner } = scene.discord.users;
    users = { owner: member, member: stranger, moderator, manager: owner, outsider: stranger };
    outside = scene.discord.dm(stranger);
    const red = { width: 64, height: 64, channels: 3, background: '#ff0000' } as const;
    picture = await sharp({ create: red }).png().toBuffer();
  }, 240_000);
  afterAll(() => scene?.close());

  const place = (role: Role) => ({ locale: 'en-US', ...(role === 'outsider' ? { channelId: outside } : {}) });
  const run = (role: Role, path: string, options: Record<string, OptionValue> = {}) =>
    scene.discord.run(users[role], path, options, place(role));

  const ask = (prompt: string) => run('owner', 'imagine', { prompt });
  const finished = async (prompt = 'a fox --ar 3:2') => {
    const { id } = await ask(prompt);
    return { id, ...(await finish(scene, id)) };
  };
  /** Pauses between two presses of the same. */
  async function forget(what: 'clicked' | 'asking'): Promise<void> {
    const found = await scene.redis.client.keys(`{dreamgrid}:${what}:*`);
    if (found.length > 0) await scene.redis.client.del(found);
  }

  /** What the person sees in the end. */
  function seen(handle: InteractionHandle, jobId: string): string | undefined {
    if (handle.state === 'failed') return 'no answer';
    for (const told of [...handle.followups, handle.message]) {
      const embed = told?.ephemeral ? told.embeds[0] : undefined;
      const wrong = embed?.['color'] === 0xfee75c || embed?.['color'] === 0xed4245;
      if (wrong) return REFUSALS.includes(embed['title']) ? 'refused' : `told "${embed['title']}"`;
    }
    if (handle.modal || handle.callbackType === 7) return 'allowed';
    if (handle.callbackType === 6)
      return scene.bot.events.some((event) => event['msg'] === 'cancelled' && event['jobId'] === jobId) ||
        handle.message?.edited
        ? 'allowed'
        : undefined;
    // A question is a worker's to answer, and there is none here.
    const asked = scene.bot.events.some((event) => event['msg'] === 'asked' && event['id'] === handle.id);
    return asked || (handle.message && !handle.message.loading) ? 'allowed' : undefined;
  }

  async function outcome(start: () => Promise<InteractionHandle>, jobId = ''): Promise<string> {
    let handle: InteractionHandle;
    try {
      handle = await start();
    } catch (error) {
      if (error instanceof ClientRefusal && /^Unknown command/.test(error.message)) return 'refused';
      throw error;
    }
    await until(() => seen(handle, jobId) !== undefined, 'an answer');
    return seen(handle, jobId) as string;
  }

  const expected = (may: readonly Role[]) =>
    Object.fromEntries(ROLES.map((role) => [role, may.includes(role) ? 'allowed' : 'refused']));

  describe('commands', () => {
    it('each has a row', () => {
      const typed = scene.discord.commands.filter(({ type }) => type === 1);
      const paths = typed.flatMap(({ name, options = [] }) => {
        const parts = (path: string, list: { name: string; type: number; options?: never[] }[]): string[] => {
          const deeper = list.filter(({ type }) => type <= 2);
          return deeper.length === 0
            ? [path]
            : deeper.flatMap((part) => parts(`${path} ${part.name}`, part.options ?? []));
        };
        return parts(name, options as never[]);
      });
      expect(COMMANDS.map(({ path }) => path).sort()).toEqual(paths.sort());
    });

    it.each(COMMANDS)('/$path', async ({ path, options = {}, may }) => {
      const { id, messageId } = await finished();
      const [painted] = scene.discord.message(messageId)?.attachments ?? [];
      const standIns: Record<string, OptionValue> = {
        $member: scene.discord.users.stranger,
        $picture: { name: 'red.png', file: picture },
        $job: id,
        $painted: { name: 'fox.png', file: painted?.data as Buffer },
      };
      const given = Object.fromEntries(
        Object.entries(options).map(([name, value]) => [name, standIns[value] ?? value]),
      );
      const answers: Record<string, string> = {};
      for (const role of ROLES) {
        await forget('asking');
        answers[role] = await outcome(() => run(role, path, given));
      }
      await scene.empty();
      expect(answers).toEqual(expected(may));
    });
  });

  describe('buttons', () => {
    beforeAll(async () => {
      await scene.empty();
      const grid = await finished();
      onGrid = grid.messageId;
      const next = async (messageId: string, label: string) => {
        const { id } = await scene.discord.click(users.owner, messageId, label, { locale: 'en-US' });
        return { id, ...(await finish(scene, id)) };
      };
      const single = await next(onGrid, 'U1');
      subjects.set('grid', grid.id).set('single', single.id);
      const panned = await next(single.messageId, '➡️');
      subjects.set('wide', (await next(panned.messageId, 'U1')).id);
      subjects.set('own', users.owner);
      const offered = '1190000000000000777';
      const prompts = JSON.stringify(['a fox', 'a wolf']);
      await scene.redis.client.set(keys.offered(users.owner, offered), prompts);
      subjects.set('offer', offered);
      doorstep = (await run('outsider', 'help')).message?.id as string;
    }, 240_000);

    /** The job that the button names; what is used up by a press is made anew. */
    async function subject(on: Subject): Promise<string> {
      const kept = subjects.get(on);
      if (kept) return kept;
      if (on === 'waiting') return (await ask('a fox that waits')).id;
      const asked = await ask(on === 'mended' ? 'a fox --stylise 5000' : 'a {red, blue} fox');
      await until(() => (asked.followups[0] ?? asked.message)?.ephemeral === true, 'the question');
      return asked.id;
    }

    async function press(
      role: Role,
      action: ButtonAction,
      { on, value, values }: ButtonRow,
    ): Promise<string> {
      await forget('clicked');
      const jobId = await subject(on);
      const id = printCustomId({ action, index: 0, jobId, value });
      const where = role === 'outsider' ? doorstep : onGrid;
      return outcome(
        () =>
          scene.discord.click(users[role], where, id, {
            ...place(role),
            forge: true,
            ...(values ? { values: [...values] } : {}),
          }),
        jobId,
      );
    }

    it('each has a row', () => {
      expect(Object.keys(BUTTONS).sort()).toEqual([...BUTTON_ACTIONS].sort());
    });

    const walk = async (action: ButtonAction, row: ButtonRow) => {
      const answers: Record<string, string> = {};
      for (const role of ROLES) answers[role] = await press(role, action, row);
      expect(answers).toEqual(expected(row.may));
    };
    const rows = Object.entries(BUTTONS) as [ButtonAction, ButtonRow][];
    it.each(rows.filter(([action]) => action !== 'my-erase'))('%s', walk);

    it.each(CONTROLS)('%s of the panel of /dreamgrid setup', async (control) => {
      const answers: Record<string, string> = {};
      const id = printControl(control);
      for (const role of ROLES.filter((one) => one !== 'manager')) {
        const where = role === 'outsider' ? doorstep : onGrid;
        const press = () => scene.discord.click(users[role], where, id, { ...place(role), forge: true });
        answers[role] = await outcome(press);
      }
      const panel = (await run('manager', 'dreamgrid setup')).message?.id as string;
      const touch = (control: string, values: string[] = []) =>
        scene.discord.click(users.manager, panel, control, { locale: 'en-US', values });
      if (
        !scene.discord
          .message(panel)
          ?.raw['components'].some((row: object) => JSON.stringify(row).includes(id))
      )
        await touch(printControl('to-safety'));
      answers['manager'] = await outcome(() => touch(id, VALUES[control]));
      expect(answers).toEqual(expected(['manager']));
    });

    it('the buttons of a picture in stealth are its owner’s alone', async () => {
      const hidden = await finished('a hidden fox --stealth');
      subjects.set('grid', hidden.id).set('single', hidden.id);
      const shared = rows.filter(([, { on }]) => on === 'grid' || on === 'single');
      for (const [action, row] of shared)
        for (const role of ['member', 'moderator', 'outsider'] as const)
          expect(await press(role, action, row), `${action} by ${role}`).toBe('refused');
      expect(await press('owner', 'upscale', BUTTONS.upscale)).toBe('allowed');
    });

    it('each right click has a row', () => {
      const names = scene.discord.commands.filter(({ type }) => type === 3).map(({ name }) => name);
      expect(Object.keys(APPS).sort()).toEqual(names.sort());
    });

    it.each(Object.entries(APPS))('right click → %s', async (name, { on, may }) => {
      const answers: Record<string, string> = {};
      const help = (await run('outsider', 'help')).message?.id as string;
      for (const role of ROLES) {
        const target = on === 'grid' ? onGrid : await scene.messageOf((await ask('a fox that waits')).id);
        const message = role === 'outsider' ? help : target;
        const click = () => scene.discord.messageCommand(users[role], message, name, { locale: 'en-US' });
        answers[role] = await outcome(click);
      }
      expect(answers).toEqual(expected(may));
    });

    // Last: nothing of the owner's is left.
    it('my-erase', () => walk('my-erase', BUTTONS['my-erase']));
  });
});

/** `UPDATE_DOCS=1 npm test -- test/operations/permissions.test.ts` writes the table anew. */
it('docs/security.md has the table as it is', () => {
  const line = (what: string, may: readonly Role[]): string =>
    `| ${what} | ${ROLES.map((role) => (may.includes(role) ? '✓' : '—')).join(' | ')} |`;
  const groups = new Map<string, { names: string[]; may: readonly Role[] }>();
  for (const [action, { may }] of Object.entries(BUTTONS)) {
    const group = groups.get(may.join()) ?? { names: [], may };
    group.names.push(`\`${action}\``);
    groups.set(may.join(), group);
  }
  const table = [
    `| | ${ROLES.map((role) => ROLE_NAMES[role]).join(' | ')} |`,
    `|---|${ROLES.map(() => ':-:').join('|')}|`,
    ...COMMANDS.map(({ path, may }) => line(`\`/${path}\``, may)),
    ...Object.entries(APPS).map(([name, { may }]) => line(`right click → ${name}`, may)),
    ...[...groups.values()].map(({ names, may }) => line(names.join(' '), may)),
    line('every control of `/dreamgrid setup`', ['manager']),
    line('every button of a picture in stealth', ['owner']),
  ].join('\n');
  const text = readFileSync(page, 'utf8');
  const fresh = text.replace(
    /(<!-- permissions:begin -->\n)[\s\S]*?(<!-- permissions:end -->)/,
    (_, begin: string, end: string) => `${begin}${table}\n${end}`,
  );
  if (process.env['UPDATE_DOCS']) writeFileSync(page, fresh);
  else expect(text).toBe(fresh);
});
