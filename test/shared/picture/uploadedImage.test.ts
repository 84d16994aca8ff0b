import { createHook } from 'node:async_hooks';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type LookupFunction } from 'node:net';
import { crc32, deflateSync } from 'node:zlib';
import * as fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cleanPicture,
  fetchPicture,
  IMAGE_LIMITS,
  isPublicAddress,
} from '../../../shared/picture/uploadedImage.ts';
import { UserError } from '../../../shared/service/errors.ts';

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).code;
};

describe('addresses', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '172.31.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    'fe80::1',
    'fd00::1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'not an address',
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each(['1.1.1.1', '162.159.135.233', '2606:4700::1111'])('%s is', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );
});

describe('links', () => {
  const rules = { hosts: ['cdn.discordapp.com'] };

  it.each([
    'http://cdn.discordapp.com/a.png',
    'https://cdn.discordapp.com:8443/a.png',
    'https://user:pw@cdn.discordapp.com/a.png',
    'https://cdn.discordapp.com.evil.example/a.png',
    'https://evil.example/cdn.discordapp.com',
    'https://127.0.0.1/a.png',
    'https://0x7f.1/a.png',
    'https://2130706433/a.png',
    'https://[::ffff:127.0.0.1]/a.png',
    'https://localhost/a.png',
    'http://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    'data:image/png;base64,AAAA',
    'nonsense',
    '',
  ])('%s is refused', async (link) => {
    expect(await codeOf(fetchPicture(link, rules))).toBe('image-host');
  });

  it('an address as an allowed host is still refused, and nothing connects to it', async () => {
    let connects = 0;
    const hook = createHook({
      init: (_, type) => {
        if (type === 'TCPCONNECTWRAP') connects++;
      },
    }).enable();
    try {
      for (const link of [
        'https://127.0.0.1/a',
        'https://0x7f.1/a',
        'https://2130706433/a',
        'https://[::ffff:127.0.0.1]/a',
        'https://[::1]/a',
        'https://localhost/a',
      ]) {
        const hosts = [new URL(link).hostname];
        expect(await codeOf(fetchPicture(link, { hosts })), link).toBe('image-host');
      }
      expect(connects).toBe(0);
      await once(connect(9, '127.0.0.1'), 'close').catch(() => undefined);
      expect(connects).toBe(1); // so it would have been seen
    } finally {
      hook.disable();
    }
  });

  it('row 27: rebinding: a name that leads inside is refused, whatever else it leads to, and looked up once', async () => {
    const asked: string[] = [];
    const lookup = ((host, _options, done) => {
      asked.push(host);
      done(null, [
        { address: '1.1.1.1', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ]);
    }) as LookupFunction;
    expect(await codeOf(fetchPicture('https://cdn.discordapp.com/a.png', { ...rules, lookup }))).toBe(
      'image-host',
    );
    expect(asked).toEqual(['cdn.discordapp.com']);
  });

  it('never throws anything but a UserError', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.webUrl(), fc.string({ unit: 'grapheme' })), async (link) => {
        await codeOf(fetchPicture(link, { hosts: [] }));
      }),
    );
  });
});

describe('fetching', () => {
  let server: Server;
  let base: string;
  let answer: RequestListener = (_, response) => void response.end();
  beforeAll(async () => {
    server = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const get = (options: object = {}) =>
    fetchPicture(`${base}/a.png`, { hosts: [], trusted: base, ...options });

  it('takes what the trusted origin has', async () => {
    answer = (_, response) => void response.end('bytes');
    expect((await get()).toString()).toBe('bytes');
  });

  it('row 27: follows redirects only to where it may go', async () => {
    answer = (request, response) => {
      if (request.url === '/a.png') response.writeHead(302, { location: '/b.png' }).end();
      else response.end('moved');
    };
    expect((await get()).toString()).toBe('moved');
    answer = (_, response) => void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
    expect(await codeOf(get())).toBe('image-host');
    answer = (_, response) => void response.writeHead(302, { location: '/a.png' }).end();
    expect(await codeOf(get())).toBe('image-fetch');
  });

  it('stops at the size limit, told or not', async () => {
    answer = (_, response) => void response.writeHead(200, { 'content-length': '2000000' }).end();
    expect(await codeOf(get({ maxBytes: 1_000_000 }))).toBe('image-bytes');
    answer = (_, response) => {
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), more);
      };
      more();
    };
    expect(await codeOf(get({ maxBytes: 1_000_000 }))).toBe('image-bytes');
  });

  it('stops at the deadline', async () => {
    answer = (_, response) => void response.write('a'); // and never another byte
    expect(await codeOf(get({ deadlineMs: 200 }))).toBe('image-fetch');
  });

  it.each([404, 500, 204])('answers %i with words', async (status) => {
    answer = (_, response) => void response.writeHead(status).end();
    expect(await codeOf(get())).toBe('image-fetch');
  });
});

const chunk = (type: string, data: Buffer): Buffer => {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, data.length + 8)), data.length + 8);
  return out;
};

/** A small PNG file that says it is of this size. */
function bomb(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const data = deflateSync(Buffer.alloc(100));
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', data),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

describe('cleaning', () => {
  const plain = (width: number, height: number, channels: 3 | 4 = 3) =>
    sharp({ create: { width, height, channels, background: { r: 255, g: 0, b: 0, alpha: 0.5 } } });

  it('makes an upright, opaque PNG of at most 1024 pixels a side, without metadata', async () => {
    const input = await plain(2000, 500)
      .jpeg()
      .withExif({ IFD0: { Copyright: 'someone' } })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const meta = await sharp(await cleanPicture(input)).metadata();
    expect(meta).toMatchObject({ format: 'png', width: 256, height: IMAGE_LIMITS.side, channels: 3 });
    expect(meta.exif).toBeUndefined();
    expect(meta.orientation).toBeUndefined();
  });

  it.each(['png', 'jpeg', 'webp'] as const)('takes %s', async (format) => {
    const input = await plain(40, 30, 4).toFormat(format).toBuffer();
    expect(await sharp(await cleanPicture(input)).metadata()).toMatchObject({
      width: 40,
      height: 30,
      channels: 3,
    });
  });

  it('takes grey and 16-bit pictures', async () => {
    const grey = await plain(8, 8).greyscale().png().toBuffer();
    expect((await sharp(await cleanPicture(grey)).metadata()).channels).toBe(3);
    const deep = await plain(8, 8).toColourspace('rgb16').png().toBuffer();
    expect(await sharp(await cleanPicture(deep)).metadata()).toMatchObject({ channels: 3, depth: 'uchar' });
  });

  it.each([
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 'image-type'],
    ['GIF', Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00;', 'latin1'), 'image-type'],
    ['nothing', Buffer.alloc(0), 'image-type'],
    ['text', Buffer.from('hello'), 'image-type'],
    ['a PNG of 30,000 x 30,000', bomb(30_000, 30_000), 'image-pixels'],
    ['a PNG with too few pixels', bomb(10, 10), 'image-broken'],
  ])('refuses %s', async (_, bytes, code) => {
    expect(await codeOf(cleanPicture(bytes))).toBe(code);
  });

  it('refuses what was cut off', async () => {
    const noise = Buffer.from(Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251));
    const whole = sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    for (const format of ['png', 'jpeg', 'webp'] as const) {
      const bytes = await whole.toFormat(format).toBuffer();
      expect(await codeOf(cleanPicture(bytes.subarray(0, bytes.length >> 1))), format).toBe('image-broken');
    }
  });

  it('row 28: polyglot: keeps nothing that was appended', async () => {
    const input = Buffer.concat([await plain(8, 8).png().toBuffer(), Buffer.from('PK\x03\x04 polyglot')]);
    expect((await cleanPicture(input)).includes('polyglot')).toBe(false);
  });

  it('row 28: blocks every other loader of this process', async () => {
    await cleanPicture(await plain(8, 8).png().toBuffer());
    await expect(
      sharp(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).toBuffer(),
    ).rejects.toThrow();
    const gif = Buffer.from('R0lGODlhAQABAAAAACH5BAEAAAAALAAAAAABAAEAAAICTAEAOw==', 'base64');
    await expect(sharp(gif).toBuffer()).rejects.toThrow();
  });
});
