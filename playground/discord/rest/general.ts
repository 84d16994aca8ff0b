import {
  channelObject,
  guildObject,
  memberObject,
  roles,
  selfObject,
  userObject,
} from '../../world/objects.ts';
import { GUILD_ID } from '../../world/state.ts';
import type { User } from '../../world/types.ts';
import { refuse } from '../errors.ts';
import { gatewayUrl } from '../gateway.ts';
import { type Call, ok, type Route } from './route.ts';

function user(call: Call, id: string, missing: () => Error): User {
  const found = call.world.users.get(id);
  if (!found) throw missing();
  return found;
}
/** A route that answers for our one guild only. */
function ofGuild(build: (call: Call) => unknown): Route['handle'] {
  return (call) => {
    if (call.params[0] !== GUILD_ID) throw refuse.unknownGuild();
    return ok(build(call));
  };
}

export const generalRoutes: Route[] = [
  {
    method: 'GET',
    path: /^\/gateway$/,
    open: true,
    handle: (call) => ok({ url: gatewayUrl(call.presenter.url) }),
  },
  {
    method: 'GET',
    path: /^\/gateway\/bot$/,
    reply: 'GatewayBotResponse',
    handle: (call) =>
      ok({
        url: gatewayUrl(call.presenter.url),
        shards: call.gateway.shards,
        session_start_limit: {
          total: 1000,
          remaining: 1000 - (call.gateway.identifies % 900),
          reset_after: 86_400_000,
          max_concurrency: call.gateway.shards,
        },
      }),
  },
  {
    method: 'GET',
    path: /^\/users\/@me$/,
    reply: 'UserPIIResponse',
    handle: (call) => ok(selfObject(call.world.bot)),
  },
  {
    method: 'GET',
    path: /^\/users\/(\d+)$/,
    reply: 'UserResponse',
    handle: (call) => ok(userObject(user(call, call.params[0]!, refuse.unknownUser))),
  },
  {
    method: 'GET',
    path: /^\/users\/@me\/guilds$/,
    handle: (call) =>
      ok([
        { ...guildObject(call.presenter), owner: false, permissions: call.world.bot.permissions.toString() },
      ]),
  },
  {
    method: 'GET',
    path: /^\/guilds\/(\d+)$/,
    reply: 'GuildWithCountsResponse',
    handle: ofGuild((call) => ({
      ...guildObject(call.presenter),
      approximate_member_count: call.world.users.size,
      approximate_presence_count: call.world.users.size,
    })),
  },
  {
    method: 'GET',
    path: /^\/guilds\/(\d+)\/channels$/,
    handle: ofGuild((call) =>
      [...call.world.channels.values()]
        .filter((c) => c.type === 0)
        .map((c) => channelObject(call.presenter, c)),
    ),
  },
  { method: 'GET', path: /^\/guilds\/(\d+)\/roles$/, handle: ofGuild(roles) },
  {
    method: 'GET',
    path: /^\/guilds\/(\d+)\/members$/,
    handle: ofGuild((call) => [...call.world.users.values()].map(memberObject)),
  },
  {
    method: 'GET',
    path: /^\/guilds\/(\d+)\/members\/(\d+)$/,
    reply: 'GuildMemberResponse',
    handle: ofGuild((call) => memberObject(user(call, call.params[1]!, refuse.unknownMember))),
  },
];
