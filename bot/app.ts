import type { REST } from 'discord.js';
import type { Redis } from 'ioredis';
import type { Store } from '../shared/picture/store.ts';
import type { ModelCard } from '../shared/queue/job.ts';
import type { Queues } from '../shared/queue/queue.ts';
import type { Env } from '../shared/service/env.ts';
import type { Log } from '../shared/service/log.ts';
import type { BotMetrics } from './metrics.ts';
import type { Requeue } from './submit/requeueLost.ts';

/** What every handler may use; opened once in main. */
export interface App {
  readonly env: Env;
  readonly log: Log;
  readonly redis: Redis;
  readonly queues: Queues;
  readonly store: Store;
  readonly rest: REST;
  readonly metrics: BotMetrics;
  /** Hands jobs over again that a killed Redis may have lost. */
  readonly again: Requeue;
  /** Models that workers announce, or announced a moment ago. */
  models(): Promise<ReadonlyMap<string, ModelCard>>;
}

/** The asking member and place of an interaction, as kept after its handler ends. */
export interface Asker {
  readonly interactionId: string;
  readonly applicationId: string;
  readonly token: string;
  readonly user: { readonly id: string; readonly name: string };
  readonly locale: string;
  readonly channelId: string;
  readonly guildId?: string | undefined;
  /** Of a thread: the id of its channel. */
  readonly parentId?: string | undefined;
  /** The channel, or a thread's channel, is age-restricted. */
  readonly nsfw: boolean;
  /** Ids of the member's roles; none in a direct message. */
  readonly roles: readonly string[];
  /** Locale of messages to the server itself. */
  readonly guildLocale: string;
  /** Bytes that Discord allows one file here. */
  readonly attachmentLimit: number;
  /** May manage messages in this channel, so may stop anyone's job in it. */
  readonly moderator: boolean;
  /** May manage the server, so may set up Dreamgrid there. */
  readonly manager: boolean;
}
