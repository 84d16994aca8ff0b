/** Width, height and kind of a picture from its first bytes, for Discord's fields of an attachment. */
export interface PictureHead {
  type: string;
  width?: number;
  height?: number;
}

const at = (d: Buffer, i: number, text: string): boolean => d.toString('latin1', i, i + text.length) === text;

function jpegSize(d: Buffer): { width: number; height: number } | undefined {
  let i = 2;
  while (i + 9 < d.length && d[i] === 0xff) {
    const marker = d[i + 1]!;
    // SOF0..SOF15 without DHT, JPG and DAC carry the frame size.
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return { height: d.readUInt16BE(i + 5), width: d.readUInt16BE(i + 7) };
    i += 2 + d.readUInt16BE(i + 2);
  }
  return undefined;
}

function webpSize(d: Buffer): { width: number; height: number } | undefined {
  if (at(d, 12, 'VP8X') && d.length >= 30)
    return { width: d.readUIntLE(24, 3) + 1, height: d.readUIntLE(27, 3) + 1 };
  if (at(d, 12, 'VP8 ') && d.length >= 30)
    return { width: d.readUInt16LE(26) & 0x3fff, height: d.readUInt16LE(28) & 0x3fff };
  if (at(d, 12, 'VP8L') && d.length >= 25) {
    const bits = d.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  return undefined;
}

export function pictureHead(d: Buffer): PictureHead | undefined {
  if (d.length >= 24 && at(d, 1, 'PNG\r\n'))
    return { type: 'image/png', width: d.readUInt32BE(16), height: d.readUInt32BE(20) };
  if (d.length >= 10 && at(d, 0, 'GIF8'))
    return { type: 'image/gif', width: d.readUInt16LE(6), height: d.readUInt16LE(8) };
  if (d.length >= 4 && d[0] === 0xff && d[1] === 0xd8) return { type: 'image/jpeg', ...jpegSize(d) };
  if (d.length >= 16 && at(d, 0, 'RIFF') && at(d, 8, 'WEBP')) return { type: 'image/webp', ...webpSize(d) };
  return undefined;
}

const BY_NAME: Record<string, string> = {
  txt: 'text/plain; charset=utf-8',
  json: 'application/json',
  zip: 'application/zip',
  svg: 'image/svg+xml',
  html: 'text/html; charset=utf-8',
};

export function contentTypeOf(name: string, head: PictureHead | undefined): string {
  return head?.type ?? BY_NAME[name.split('.').pop()?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}
