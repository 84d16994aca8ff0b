import { readFileSync } from 'node:fs';
import { ConfigError, messageOf } from '../service/errors.ts';

/** Where Redis is, in ioredis' words: one server, or the primary that sentinels name. */
export interface Address {
  host: string;
  port: number;
  db: number;
  username?: string;
  password?: string;
  tls?: { ca?: string };
  sentinels?: { host: string; port: number }[];
  /** The sentinels' name of the primary. */
  name?: string;
  sentinelPassword?: string;
}

export interface RedisSettings {
  readonly REDIS_URL: string;
  readonly REDIS_CA?: string | undefined;
  readonly REDIS_SENTINEL?: string | undefined;
  readonly REDIS_SENTINEL_PASSWORD?: string | undefined;
}

/** @throws ConfigError in one line that names the setting. */
export function parseAddress(settings: RedisSettings): Address {
  const { REDIS_CA: ca, REDIS_SENTINEL: sentinel, REDIS_SENTINEL_PASSWORD: sentinelPassword } = settings;
  const url = new URL(settings.REDIS_URL);
  const secure = url.protocol === 'rediss:';
  if (ca !== undefined && !secure) throw new ConfigError('REDIS_CA is for a REDIS_URL with rediss://.');
  if (sentinelPassword !== undefined && sentinel === undefined)
    throw new ConfigError('REDIS_SENTINEL_PASSWORD is for REDIS_SENTINEL, which is not set.');
  const path = url.pathname.slice(1);
  if (!/^\d{0,9}$/.test(path))
    throw new ConfigError(`REDIS_URL: expected a database number after the slash; got ${url.pathname}`);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(path),
    ...(url.username ? { username: decode(url.username, 'user') } : {}),
    ...(url.password ? { password: decode(url.password, 'password') } : {}),
    ...(secure ? { tls: ca === undefined ? {} : { ca: readCertificate(ca) } } : {}),
    ...(sentinel === undefined ? {} : parseSentinel(sentinel)),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  };
}

function decode(part: string, what: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ConfigError(`REDIS_URL: the ${what} has a % that is no escape; a % itself is written %25.`);
  }
}

/** `NAME@HOST:PORT,HOST:PORT`, as the setting's schema lets it through. */
function parseSentinel(text: string): Pick<Address, 'name' | 'sentinels'> {
  const [name = '', hosts = ''] = text.split('@');
  const sentinels = hosts.split(',').map((each) => {
    const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(each.trim()) ?? [];
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port ?? 26379) };
  });
  return { name, sentinels };
}

function readCertificate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`REDIS_CA: cannot read ${path} (${messageOf(error)}).`);
  }
}
