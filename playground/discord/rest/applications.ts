import { applicationObject } from '../../world/objects.ts';
import { APPLICATION_ID, GUILD_ID } from '../../world/state.ts';
import type { Command, Json } from '../../world/types.ts';
import { commandListProblems, commandProblems } from '../commandRules.ts';
import { refuse } from '../errors.ts';
import { check, errorTree } from '../validate.ts';
import { type Call, created, noteUnknown, nothing, ok, type Route } from './route.ts';

/** Fields that Discord takes and its published spec lacks. */
const UNSPECIFIED = /(^|\.)(nsfw|default_permission)$/;

function mine(call: Call): void {
  if (call.params[0] !== APPLICATION_ID) throw refuse.unknownApplication();
}

function build(call: Call, body: Json, guildId: string | undefined, old?: Command): Command {
  const { id: _, handler: __, default_permission: ___, ...rest } = body;
  return {
    ...rest,
    id: old?.id ?? call.world.nextId(),
    application_id: APPLICATION_ID,
    version: call.world.nextId(),
    type: body['type'] ?? 1,
    name: body['name'],
    description: body['description'] ?? '',
    name_localizations: body['name_localizations'] ?? null,
    description_localizations: body['description_localizations'] ?? null,
    default_member_permissions:
      body['default_member_permissions'] === undefined || body['default_member_permissions'] === null
        ? null
        : String(body['default_member_permissions']),
    nsfw: body['nsfw'] === true,
    dm_permission: body['dm_permission'] !== false,
    contexts: body['contexts'] ?? null,
    integration_types: body['integration_types'] ?? [0],
    options: clean(body['options'] ?? []),
    ...(guildId ? { guild_id: guildId } : {}),
  } as Command;
}

/** Answers leave out what is null or empty. */
function clean(options: Json[]): Json[] {
  return options.map((o) => {
    const kept = Object.fromEntries(Object.entries(o).filter(([, v]) => v !== null && v !== undefined));
    return { ...kept, ...(kept['options'] ? { options: clean(kept['options']) } : {}) };
  });
}

function list(call: Call, guildId: string | undefined): Command[] {
  return guildId ? call.world.guildCommands : call.world.globalCommands;
}
function keep(call: Call, guildId: string | undefined, commands: Command[]): void {
  if (guildId) call.world.guildCommands = commands;
  else call.world.globalCommands = commands;
  call.world.emit({ type: 'commands' });
}
function checked(call: Call, schema: string, body: unknown): Json {
  const result = check(schema, body, (b) => commandProblems(b));
  noteUnknown(
    call,
    result.unknown.filter((f) => !UNSPECIFIED.test(f)),
  );
  return result.body;
}

function one(call: Call, guildId: string | undefined, id: string): Command {
  const found = list(call, guildId).find((c) => c.id === id);
  if (!found) throw refuse.unknownCommand();
  return found;
}

function routesFor(prefix: string, guild: boolean): Route[] {
  const where = (call: Call): string | undefined => {
    mine(call);
    if (guild && call.params[1] !== GUILD_ID) throw refuse.missingAccess();
    return guild ? GUILD_ID : undefined;
  };
  const idOf = (call: Call): string => call.params[guild ? 2 : 1]!;
  const all = new RegExp(`^${prefix}$`);
  const single = new RegExp(`^${prefix}/(\\d+)$`);
  return [
    { method: 'GET', path: all, handle: (call) => ok(list(call, where(call))) },
    {
      method: 'PUT',
      path: all,
      handle(call) {
        const guildId = where(call);
        if (!Array.isArray(call.body))
          throw refuse.invalidForm({
            _errors: [{ code: 'LIST_TYPE_CONVERT', message: 'Only iterables may be used in a ListType' }],
          });
        const problems = commandListProblems(call.body as Json[]);
        if (problems.length) throw refuse.invalidForm(errorTree(problems));
        const bodies = (call.body as Json[]).map((b) => checked(call, 'ApplicationCommandUpdateRequest', b));
        const old = list(call, guildId);
        const next = bodies.map((b) =>
          build(
            call,
            b,
            guildId,
            old.find((o) => o.name === b['name'] && o.type === (b['type'] ?? 1)),
          ),
        );
        keep(call, guildId, next);
        return ok(next);
      },
    },
    {
      method: 'POST',
      path: all,
      reply: 'ApplicationCommandResponse',
      handle(call) {
        const guildId = where(call);
        const body = checked(call, 'ApplicationCommandCreateRequest', call.body);
        const same = (c: Command): boolean => c.name === body['name'] && c.type === (body['type'] ?? 1);
        const old = list(call, guildId).find(same);
        const command = build(call, body, guildId, old);
        keep(call, guildId, [...list(call, guildId).filter((c) => !same(c)), command]);
        return old ? ok(command) : created(command);
      },
    },
    { method: 'GET', path: single, handle: (call) => ok(one(call, where(call), idOf(call))) },
    {
      method: 'PATCH',
      path: single,
      handle(call) {
        const guildId = where(call);
        const old = one(call, guildId, idOf(call));
        const { body } = check('ApplicationCommandPatchRequestPartial', call.body);
        const next = build(call, { ...old, ...body }, guildId, old);
        const problems = commandProblems(next);
        if (problems.length) throw refuse.invalidForm(errorTree(problems));
        keep(
          call,
          guildId,
          list(call, guildId).map((c) => (c === old ? next : c)),
        );
        return ok(next);
      },
    },
    {
      method: 'DELETE',
      path: single,
      handle(call) {
        const guildId = where(call);
        const old = one(call, guildId, idOf(call));
        keep(
          call,
          guildId,
          list(call, guildId).filter((c) => c !== old),
        );
        return nothing();
      },
    },
  ];
}

const application = (call: Call) => ok(applicationObject(call.presenter));

export const applicationRoutes: Route[] = [
  { method: 'GET', path: /^\/applications\/@me$/, reply: 'PrivateApplicationResponse', handle: application },
  {
    method: 'GET',
    path: /^\/oauth2\/applications\/@me$/,
    reply: 'PrivateApplicationResponse',
    handle: application,
  },
  {
    method: 'GET',
    path: /^\/applications\/(\d+)\/(emojis|entitlements|skus)$/,
    handle: (call) => ok(call.params[1] === 'emojis' ? { items: [] } : []),
  },
  ...routesFor('/applications/(\\d+)/commands', false),
  ...routesFor('/applications/(\\d+)/guilds/(\\d+)/commands', true),
];
