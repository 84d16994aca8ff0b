/** A single .safetensors by its address, on any host; Civitai's token goes to Civitai alone. */
import { StoreError } from './errors.ts';
import { type Answer, get, type Hub, retry } from './http.ts';
import type { Found } from './pull.ts';

/** Whether a text is an address of a file and not a page of the hub. */
export const isAddress = (text: string): boolean =>
  /^https?:\/\//i.test(text.trim()) && !/^https:\/\/huggingface\.co\//.test(text.trim());

/** @throws StoreError in one line where there is no file at the address */
export async function findFile(hub: Hub, text: string): Promise<Found> {
  const address = text.trim();
  if (!URL.canParse(address)) throw new StoreError('usage', `"${text}" is no address.`);
  const url = new URL(address);
  if (url.protocol !== 'https:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname))
    throw new StoreError('usage', `${show(url)}: give an https address.`);
  const port = portOf(hub, url);
  const { bytes, name } = await retry(port, 5, async () => {
    const answer = await get(port, address, { range: 'bytes=0-0' });
    const { status, headers } = answer.response;
    if (status !== 200 && status !== 206) return refuse(answer, url);
    await answer.drop();
    if (/^text\/html/.test(headers.get('content-type') ?? ''))
      throw new StoreError(
        'not-found',
        `${show(url)} is a page, no file: give the address of its download button.`,
      );
    const total =
      /\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1] ??
      (status === 200 ? headers.get('content-length') : null);
    if (!total) throw new StoreError('hub', `${url.host} does not say how large the file is.`);
    return { bytes: Number(total), name: nameOf(headers.get('content-disposition'), url) };
  });
  if (!/\.safetensors$/i.test(name))
    throw new StoreError('unsupported', `${show(url)} is ${name}: only .safetensors can be taken in.`);
  const title = name.replace(/\.safetensors$/i, '');
  return {
    from: address,
    kind: 'file',
    called: title,
    commit: '',
    license: 'not stated',
    files: [{ path: name, bytes }],
    origin: { title },
    source: (later) => ({
      hub: portOf(later, url),
      address: () => address,
      refuse: (answer) => refuse(answer, url),
    }),
  };
}

/** A hub at the address's origin, with the token for that origin and no other. */
function portOf(hub: Hub, url: URL): Hub {
  const { token: _foreign, civitaiToken, ...rest } = hub;
  const own = /(^|\.)civitai\.(com|red|green)$/.test(url.hostname) && civitaiToken;
  return { ...rest, endpoint: url.origin, ...(own ? { token: own } : {}) };
}

async function refuse(answer: Answer, url: URL): Promise<never> {
  const { status } = answer.response;
  await answer.drop();
  const token = /civitai/.test(url.hostname)
    ? ' Civitai gives many files to members alone: set CIVITAI_TOKEN.'
    : '';
  if (status === 401 || status === 403)
    throw new StoreError('no-access', `${show(url)}: the host refuses the file (${status}).${token}`);
  if (status === 404) throw new StoreError('not-found', `${show(url)}: there is no such file (404).`);
  if (status === 416)
    throw new StoreError('hub', `${show(url)}: the file is another one now. Give the same command again.`);
  throw new StoreError('connection', `${url.host} answered ${status}. Try again in a while.`, {
    transient: status === 429 || status >= 500,
  });
}

/** An address without its query, which may hold a token. */
const show = (url: URL): string => `${url.origin}${url.pathname}`;

/** RFC 6266's file name, or the path's last piece; without folders. */
function nameOf(disposition: string | null, url: URL): string {
  const encoded = /filename\*=(?:UTF-8'')?([^;]+)/i.exec(disposition ?? '')?.[1];
  const plain = /filename="?([^";]+)"?/i.exec(disposition ?? '')?.[1];
  const given = encoded === undefined ? plain : decode(encoded);
  const name = (given ?? decode(url.pathname)).replace(/^.*[/\\]/, '').trim();
  return name === '' || name.startsWith('.') ? 'model' : name;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
