import { lookup as systemLookup } from 'node:dns';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import sharp from 'sharp';
import { UserError } from '../service/errors.ts';

/**
 * Untrusted pictures: fetched only from named hosts, checked before they are decoded, and
 * kept as a PNG of our own making, so that nothing of the original file survives but its pixels.
 */
export const IMAGE_LIMITS = { bytes: 20 * 1024 * 1024, megapixels: 64, side: 1024, ms: 10_000 } as const;
const MAX_REDIRECTS = 3;

export interface FetchRules {
  /** Host names that https pictures may come from. */
  hosts: readonly string[];
  /** An origin of the operator's own (the playground's CDN): any scheme, port and address. */
  trusted?: string | undefined;
  maxBytes?: number;
  deadlineMs?: number;
  /** Resolves host names; for tests. */
  lookup?: LookupFunction;
}

/** Address ranges that the internet does not reach: RFC 6890 and its successors. */
const inside = { ipv4: new BlockList(), ipv6: new BlockList() }; // apart: one list takes IPv4 for ::ffff:0:0/96
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  inside.ipv4.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of [
  ['::', 96], // unspecified, loopback, IPv4-compatible
  ['::ffff:0:0', 96], // IPv4-mapped: no public server is reached this way
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  inside.ipv6.addSubnet(net, bits, 'ipv6');

/** False for every private, local or reserved address. */
export const isPublicAddress = (address: string): boolean => {
  const kind = isIP(address);
  if (kind === 0) return false;
  const family = kind === 4 ? 'ipv4' : 'ipv6';
  return !inside[family].check(address, family);
};

/** Resolves a name once and gives the checked address to the socket, so that a second answer cannot differ. */
const publicOnly =
  (resolve: LookupFunction): LookupFunction =>
  (hostname, options, done) =>
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, '');
      const addresses = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found;
      const bad = addresses.length === 0 || addresses.some(({ address }) => !isPublicAddress(address));
      if (bad) return done(new UserError('image-host', { hosts: hostname }), '');
      if (options.all) return done(null, addresses);
      const [first] = addresses as [{ address: string; family: number }];
      return done(null, first.address, first.family);
    });

/** @throws UserError image-host, image-fetch, image-bytes */
export async function fetchPicture(link: string, rules: FetchRules): Promise<Buffer> {
  const { maxBytes = IMAGE_LIMITS.bytes, deadlineMs = IMAGE_LIMITS.ms } = rules;
  const signal = AbortSignal.timeout(deadlineMs);
  let url = parseLink(link, rules);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await get(url, rules, signal);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if (status >= 300 && status < 400 && location) {
      response.destroy();
      url = parseLink(URL.canParse(location, url.href) ? new URL(location, url.href).href : '', rules);
      continue;
    }
    if (status !== 200) {
      response.destroy();
      throw new UserError('image-fetch');
    }
    return await readAll(response, maxBytes);
  }
  throw new UserError('image-fetch');
}

/** A literal address has no lookup, so it is checked here; the URL parser resolves 0x7f.1 and 2130706433. */
function parseLink(link: string, { hosts, trusted }: FetchRules): URL {
  const refuse = () => new UserError('image-host', { hosts: hosts.join(', ') });
  if (!URL.canParse(link)) throw refuse();
  const url = new URL(link);
  if (url.username || url.password) throw refuse();
  if (trusted !== undefined && url.origin === new URL(trusted).origin) return url;
  const host = url.hostname.toLowerCase();
  const named = hosts.some((name) => name.toLowerCase() === host);
  if (url.protocol !== 'https:' || url.port !== '' || isIP(host.replace(/^\[|\]$/g, '')) || !named)
    throw refuse();
  return url;
}

function get(url: URL, rules: FetchRules, signal: AbortSignal): Promise<IncomingMessage> {
  const trusted = rules.trusted !== undefined && url.origin === new URL(rules.trusted).origin;
  const lookup = trusted ? undefined : publicOnly(rules.lookup ?? (systemLookup as LookupFunction));
  const { request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const asked = request(url, {
      signal,
      agent: false,
      headers: { accept: 'image/png, image/jpeg, image/webp', 'accept-encoding': 'identity' },
      ...(lookup ? { lookup } : {}),
    });
    asked.once('response', resolve);
    asked.once('error', (error) => reject(error instanceof UserError ? error : new UserError('image-fetch')));
    asked.end();
  });
}

async function readAll(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () => new UserError('image-bytes', { max: Math.floor(maxBytes / 1024 / 1024) });
  if (Number(response.headers['content-length'] ?? 0) > maxBytes) {
    response.destroy();
    throw tooLarge();
  }
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > maxBytes) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof UserError ? error : new UserError('image-fetch');
  }
  return Buffer.concat(chunks);
}

/** Only the needed libvips loaders are on; all others (SVG, GIF, PDF, TIFF…) are blocked. */
let blocked = false;
function blockOtherLoaders(): void {
  if (blocked) return;
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: ['VipsForeignLoadPng', 'VipsForeignLoadJpeg', 'VipsForeignLoadWebp'] });
  blocked = true;
}

const kindOf = (bytes: Uint8Array): 'png' | 'jpeg' | 'webp' | undefined => {
  const text = Buffer.from(bytes.subarray(0, 12)).toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'png';
  if (text.startsWith('\xff\xd8\xff')) return 'jpeg';
  return text.startsWith('RIFF') && text.slice(8) === 'WEBP' ? 'webp' : undefined;
};

/**
 * A PNG of at most 1024 pixels a side, upright, opaque, without metadata.
 * @throws UserError image-type, image-pixels, image-broken, image-bytes
 */
export async function cleanPicture(bytes: Uint8Array): Promise<Buffer> {
  if (bytes.length > IMAGE_LIMITS.bytes)
    throw new UserError('image-bytes', { max: IMAGE_LIMITS.bytes / 1024 / 1024 });
  const kind = kindOf(bytes);
  if (!kind) throw new UserError('image-type');
  blockOtherLoaders();
  const limits = { failOn: 'error', limitInputPixels: IMAGE_LIMITS.megapixels * 1e6 } as const;
  try {
    const { format, width, height } = await sharp(bytes, limits).metadata();
    if (format !== kind) throw new UserError('image-type');
    if (width * height > limits.limitInputPixels) throw tooManyPixels();
    return await sharp(bytes, limits)
      .autoOrient()
      .resize(IMAGE_LIMITS.side, IMAGE_LIMITS.side, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .png()
      .toBuffer();
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (/pixel limit|exceeds/i.test((error as Error).message)) throw tooManyPixels();
    throw new UserError('image-broken');
  }
}

const tooManyPixels = (): UserError => new UserError('image-pixels', { max: IMAGE_LIMITS.megapixels });
