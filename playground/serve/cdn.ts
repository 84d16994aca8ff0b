import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { World } from '../world/state.ts';

/** Attachment links are valid this long; a new one is signed each time the message is read. */
const LINK_LIFE_MS = 24 * 60 * 60 * 1000;

function signature(world: World, path: string, expires: string, issued: string): string {
  return createHmac('sha256', world.signSecret.key).update(`${path}|${expires}|${issued}`).digest('hex');
}

export function signedUrl(world: World, base: string, path: string): string {
  // Rounded to the hour, so that edits of a message keep the picture's address, and with it the browser's copy.
  const hour = Math.floor(world.clock.now() / 3_600_000) * 3600;
  const issued = hour.toString(16);
  const expires = (hour + LINK_LIFE_MS / 1000).toString(16);
  return `${base}${path}?ex=${expires}&is=${issued}&hm=${signature(world, path, expires, issued)}&`;
}

function refuseFile(res: ServerResponse): void {
  res.writeHead(404, { 'content-type': 'text/plain; charset=utf-8', 'access-control-allow-origin': '*' });
  res.end('This content is no longer available.');
}

/** GET /attachments/:channel/:id/:name with a valid, unexpired signature. */
export function serveAttachment(world: World, url: URL, res: ServerResponse): void {
  const [, , , id = ''] = url.pathname.split('/');
  const expires = url.searchParams.get('ex') ?? '';
  const issued = url.searchParams.get('is') ?? '';
  const given = Buffer.from(url.searchParams.get('hm') ?? '');
  const wanted = Buffer.from(signature(world, url.pathname, expires, issued));
  const data = world.files.get(id);
  if (
    !data ||
    given.length !== wanted.length ||
    !timingSafeEqual(given, wanted) ||
    Number.parseInt(expires, 16) * 1000 < world.clock.now()
  ) {
    refuseFile(res);
    return;
  }
  const type = world.attachmentTypes.get(id) ?? 'application/octet-stream';
  // Only pictures open in the page; other files are downloads, so that an uploaded page cannot run here.
  const picture = /^image\/(png|jpeg|webp|gif|avif)$/.test(type);
  const name = decodeURIComponent(url.pathname.split('/')[4] ?? 'file').replace(/["\\\r\n]/g, '_');
  res.writeHead(200, {
    'content-type': picture ? type : 'application/octet-stream',
    'content-length': data.length,
    'content-disposition': `${picture ? 'inline' : 'attachment'}; filename*=UTF-8''${encodeURIComponent(name)}`,
    'cache-control': 'private, max-age=31536000',
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
    'access-control-allow-origin': '*',
  });
  res.end(data);
}

const COLOURS = ['#5865f2', '#3ba55d', '#faa61a', '#ed4245', '#eb459e', '#9b59b6', '#1abc9c', '#e67e22'];

/** A drawn avatar with the first letter; the bot's is a 2x2 grid. */
export function avatarSvg(world: World, userId: string): string {
  const user = world.users.get(userId);
  const letter = (user?.global_name ?? user?.username ?? '?').slice(0, 1).toUpperCase();
  const colour = COLOURS[Number(BigInt(/^\d+$/.test(userId) ? userId : '0') % 8n)]!;
  const head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 80 80" width="80" height="80">';
  if (user?.bot)
    return (
      `${head}<defs><linearGradient id="g" x2="1" y2="1"><stop stop-color="#7b4dff"/><stop offset="1" stop-color="#ff7ac6"/></linearGradient></defs>` +
      '<rect width="80" height="80" fill="url(#g)"/><g fill="#fff"><rect x="19" y="19" width="19" height="19" rx="4"/>' +
      '<rect x="42" y="19" width="19" height="19" rx="4" opacity=".75"/><rect x="19" y="42" width="19" height="19" rx="4" opacity=".75"/>' +
      '<rect x="42" y="42" width="19" height="19" rx="4" opacity=".5"/></g></svg>'
    );
  return `${head}<rect width="80" height="80" fill="${colour}"/><text x="40" y="54" font-family="sans-serif" font-weight="600" font-size="38" text-anchor="middle" fill="#fff">${letter.replace(/[<&>]/g, '')}</text></svg>`;
}

/** Avatars of users and embeds, drawn by the server. */
export function serveAvatar(world: World, userId: string, res: ServerResponse): void {
  res.writeHead(200, {
    'content-type': 'image/svg+xml',
    'cache-control': 'max-age=86400',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  });
  res.end(avatarSvg(world, userId));
}
