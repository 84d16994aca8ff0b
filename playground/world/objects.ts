import { signedUrl } from '../serve/cdn.ts';
import {
  APPLICATION_ID,
  ARTIST_ROLE_ID,
  GUILD_ID,
  MODERATOR_ROLE_ID,
  PERMISSIONS,
  type World,
} from './state.ts';
import type { Channel, Interaction, Json, Message, User } from './types.ts';

/** Discord's wire objects with all fields: a reply needs more than one client reads. */
export interface Presenter {
  world: World;
  url: string;
}

const JOINED = '2024-01-01T00:00:00.000000+00:00';
export const iso = (ms: number): string => new Date(ms).toISOString().replace('Z', '000+00:00');

export function userObject(user: User): Json {
  return {
    id: user.id,
    username: user.username,
    discriminator: user.bot ? '4821' : '0',
    global_name: user.global_name,
    avatar: null,
    bot: user.bot,
    system: false,
    banner: null,
    accent_color: null,
    avatar_decoration_data: null,
    collectibles: null,
    primary_guild: null,
    public_flags: 0,
    flags: 0,
  };
}

export function selfObject(user: User): Json {
  return { ...userObject(user), mfa_enabled: false, locale: 'en-US', verified: true, email: null };
}

export function memberObject(user: User): Json {
  return {
    user: userObject(user),
    nick: null,
    avatar: null,
    avatar_decoration_data: null,
    banner: null,
    roles: user.roles,
    joined_at: JOINED,
    premium_since: null,
    communication_disabled_until: null,
    deaf: false,
    mute: false,
    pending: false,
    flags: 0,
  };
}

function role(id: string, name: string, position: number, permissions: bigint, color: number): Json {
  return {
    id,
    name,
    position,
    permissions: permissions.toString(),
    color,
    colors: { primary_color: color, secondary_color: null, tertiary_color: null },
    hoist: false,
    managed: false,
    mentionable: false,
    icon: null,
    unicode_emoji: null,
    flags: 0,
  };
}

export const roles = (): Json[] => [
  role(GUILD_ID, '@everyone', 0, PERMISSIONS.basic, 0),
  role(ARTIST_ROLE_ID, 'Artists', 1, PERMISSIONS.basic, 0xe67e22),
  role(MODERATOR_ROLE_ID, 'Moderators', 2, PERMISSIONS.moderate, 0x2ecc71),
];

export function channelObject({ world }: Presenter, channel: Channel): Json {
  const last = world.list(channel.id).at(-1)?.id ?? null;
  if (channel.type === 1) {
    const recipient = world.users.get(channel.recipientId!)!;
    return { id: channel.id, type: 1, flags: 0, last_message_id: last, recipients: [userObject(recipient)] };
  }
  if (channel.type === 11)
    return {
      id: channel.id,
      type: 11,
      guild_id: GUILD_ID,
      parent_id: channel.parentId!,
      owner_id: APPLICATION_ID,
      name: channel.name,
      flags: 0,
      last_message_id: last,
      rate_limit_per_user: 0,
      message_count: 0,
      member_count: 1,
      total_message_sent: 0,
      thread_metadata: {
        archived: channel.archived === true,
        locked: channel.locked === true,
        auto_archive_duration: 1440,
        archive_timestamp: JOINED,
      },
    };
  return {
    id: channel.id,
    type: 0,
    guild_id: GUILD_ID,
    name: channel.name,
    topic: null,
    position: [...world.channels.keys()].indexOf(channel.id),
    parent_id: null,
    nsfw: channel.nsfw === true,
    flags: 0,
    rate_limit_per_user: 0,
    permission_overwrites: [],
    last_message_id: last,
    last_pin_timestamp: null,
  };
}

export function guildObject({ world }: Presenter): Json {
  return {
    id: GUILD_ID,
    name: 'Playground',
    icon: null,
    description: null,
    home_header: null,
    splash: null,
    discovery_splash: null,
    features: [],
    banner: null,
    owner_id: world.person('owner').id,
    application_id: null,
    region: 'deprecated',
    afk_channel_id: null,
    afk_timeout: 300,
    system_channel_id: null,
    system_channel_flags: 0,
    widget_enabled: false,
    widget_channel_id: null,
    verification_level: 0,
    roles: roles(),
    default_message_notifications: 1,
    mfa_level: 0,
    explicit_content_filter: 0,
    max_presences: null,
    max_members: 500000,
    max_stage_video_channel_users: 50,
    max_video_channel_users: 25,
    vanity_url_code: null,
    premium_tier: 0,
    premium_subscription_count: 0,
    preferred_locale: 'en-US',
    rules_channel_id: null,
    safety_alerts_channel_id: null,
    public_updates_channel_id: null,
    premium_progress_bar_enabled: false,
    nsfw: false,
    nsfw_level: 0,
    emojis: [],
    stickers: [],
    incidents_data: null,
  };
}

/** GUILD_CREATE: the guild with the fields that the gateway adds. */
export function guildCreate(presenter: Presenter): Json {
  const { world } = presenter;
  const members = [...world.users.values()].map(memberObject);
  return {
    ...guildObject(presenter),
    joined_at: JOINED,
    large: false,
    unavailable: false,
    member_count: members.length,
    voice_states: [],
    members,
    channels: [...world.channels.values()]
      .filter((c) => c.type === 0)
      .map((c) => channelObject(presenter, c)),
    threads: [...world.channels.values()]
      .filter((c) => c.type === 11 && !c.archived)
      .map((c) => channelObject({ world, url: '' }, c)),
    presences: [],
    stage_instances: [],
    guild_scheduled_events: [],
    soundboard_sounds: [],
  };
}

export function applicationObject({ world }: Presenter): Json {
  return {
    id: APPLICATION_ID,
    name: 'Dreamgrid',
    icon: null,
    description: '',
    type: null,
    flags: 0,
    flags_new: '0',
    bot: userObject(world.bot),
    bot_public: true,
    bot_require_code_grant: false,
    verify_key: '0'.repeat(64),
    redirect_uris: [],
    interactions_endpoint_url: null,
    role_connections_verification_url: null,
    owner: userObject(world.person('owner')),
    approximate_guild_count: 1,
    approximate_user_install_count: 0,
    approximate_user_authorization_count: 0,
    explicit_content_filter: 0,
    team: null,
    eligible_oauth2_scopes: ['bot', 'applications.commands'],
    integration_types_config: { 0: {} },
  };
}

export function attachmentObject({ world, url }: Presenter, message: Message, index: number): Json {
  const a = message.attachments[index]!;
  const link = signedUrl(
    world,
    url,
    `/attachments/${message.channelId}/${a.id}/${encodeURIComponent(a.filename)}`,
  );
  return {
    id: a.id,
    filename: a.filename,
    size: a.size,
    url: link,
    proxy_url: link,
    content_type: a.content_type,
    ...(a.width && a.height ? { width: a.width, height: a.height } : {}),
    ...(a.description ? { description: a.description } : {}),
    ...(a.title ? { title: a.title } : {}),
    ...(message.onlyFor ? { ephemeral: true } : {}),
  };
}

const owners = (world: World, channelId: string): Json =>
  world.inGuild(channelId) ? { 0: GUILD_ID } : { 0: '0' };

export function messageObject(presenter: Presenter, message: Message, deep = true): Json {
  const { world } = presenter;
  const all = message.attachments.map((_, i) => attachmentObject(presenter, message, i));
  const used = new Set<string>();
  // A file that an embed or a component names is shown there and not in the list.
  const resolve = (value: unknown): unknown => {
    if (typeof value === 'string' && value.startsWith('attachment://')) {
      const file = all.find((a) => a['filename'] === value.slice('attachment://'.length));
      if (!file) return value;
      used.add(file['id']);
      return file['url'];
    }
    if (Array.isArray(value)) return value.map(resolve);
    if (value && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v)]));
    return value;
  };
  const embeds = resolve(message.embeds) as Json[];
  for (const embed of embeds)
    for (const part of ['image', 'thumbnail'])
      if (embed[part])
        embed[part] = { ...embed[part], proxy_url: embed[part].url, ...mediaSize(all, embed[part].url) };
  const components = resolve(message.components) as Json[];
  const by = message.interaction;
  const author = world.users.get(message.authorId) ?? world.bot;
  return {
    id: message.id,
    channel_id: message.channelId,
    type: message.type,
    content: message.content,
    author: userObject(author),
    mentions: message.mentions.flatMap((id) => world.users.get(id) ?? []).map(userObject),
    mention_roles: message.mentionRoles,
    mention_everyone: message.mentionEveryone,
    attachments: all.filter((a) => !used.has(a['id'])),
    embeds,
    components,
    timestamp: iso(message.createdAt),
    edited_timestamp: message.editedAt === null ? null : iso(message.editedAt),
    flags: message.flags,
    pinned: false,
    tts: message.tts,
    ...(message.reactions.length
      ? {
          reactions: message.reactions.map((r) => ({
            emoji: { id: r.id, name: r.emoji },
            count: r.users.length,
            count_details: { burst: 0, normal: r.users.length },
            burst_colors: [],
            me_burst: false,
            me: r.users.includes(APPLICATION_ID),
          })),
        }
      : {}),
    ...(message.nonce === undefined ? {} : { nonce: message.nonce }),
    ...(author.bot ? { application_id: APPLICATION_ID } : {}),
    ...(by ? { webhook_id: APPLICATION_ID, ...interactionMetadata(presenter, message) } : {}),
    ...(message.replyTo
      ? {
          message_reference: { type: 0, message_id: message.replyTo, channel_id: message.channelId },
          ...(deep ? { referenced_message: referenced(presenter, message.replyTo) } : {}),
        }
      : {}),
  };
}

function referenced(presenter: Presenter, id: string): Json | null {
  const message = presenter.world.messages.get(id);
  return message ? messageObject(presenter, message, false) : null;
}

function mediaSize(files: Json[], url: string): Json {
  const file = files.find((f) => f['url'] === url);
  return file?.['width'] ? { width: file['width'], height: file['height'] } : {};
}

function interactionMetadata({ world }: Presenter, message: Message): Json {
  const by = message.interaction!;
  const user = userObject(world.users.get(by.userId)!);
  const metadata: Json = {
    id: by.id,
    type: by.type,
    user,
    authorizing_integration_owners: owners(world, message.channelId),
    ...(by.type === 2 && by.targetMessageId ? { target_message_id: by.targetMessageId } : {}),
    ...(by.targetUserId ? { target_user: userObject(world.users.get(by.targetUserId)!) } : {}),
    ...(by.type === 3 ? { interacted_message_id: message.replyTo ?? message.id } : {}),
  };
  if (by.type === 5)
    metadata['triggering_interaction_metadata'] = {
      id: by.id,
      type: 2,
      user,
      authorizing_integration_owners: owners(world, message.channelId),
    };
  return {
    interaction_metadata: metadata,
    ...(by.type === 2 ? { interaction: { id: by.id, type: 2, name: by.name, user } } : {}),
  };
}

export function interactionObject(world: World, interaction: Interaction, response?: Message): Json {
  return {
    id: interaction.id,
    type: interaction.type,
    ...(response
      ? {
          response_message_id: response.id,
          response_message_loading: (response.flags & 128) !== 0,
          response_message_ephemeral: response.onlyFor !== undefined,
        }
      : {}),
    channel_id: interaction.channelId,
    ...(world.inGuild(interaction.channelId) ? { guild_id: GUILD_ID } : {}),
  };
}
