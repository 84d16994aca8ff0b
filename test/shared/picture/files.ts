import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';

/** Pictures of other programs, built from their texts: what each container and each place for text needs. */
const grey = sharp({ create: { width: 16, height: 8, channels: 3, background: '#567' } });
export const plainPng: Buffer = await grey.clone().png().toBuffer();
const plainJpeg = await grey.clone().jpeg().toBuffer();
const plainWebp = await grey.clone().webp().toBuffer();

const chunk = (type: string, data: Buffer): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
};
const bytesOf = (text: string | Buffer, encoding: BufferEncoding): Buffer =>
  typeof text === 'string' ? Buffer.from(text, encoding) : text;
const concat = (...parts: (string | Buffer)[]): Buffer =>
  Buffer.concat(parts.map((part) => bytesOf(part, 'latin1')));

/** The forms that PNG has for text. `utf8InText` is what the standard forbids and programs do. */
export const PNG_FORMS = {
  tEXt: (key: string, text: string) => chunk('tEXt', concat(key, '\0', text)),
  utf8InText: (key: string, text: string) => chunk('tEXt', concat(key, '\0', Buffer.from(text))),
  zTXt: (key: string, text: string) => chunk('zTXt', concat(key, '\0\0', deflateSync(Buffer.from(text)))),
  iTXt: (key: string, text: string) => chunk('iTXt', concat(key, '\0\0\0\0\0', Buffer.from(text))),
  iTXtWithLanguage: (key: string, text: string) =>
    chunk('iTXt', concat(key, '\0\0\0en\0', key, '\0', Buffer.from(text))),
  iTXtCompressed: (key: string, text: string) =>
    chunk('iTXt', concat(key, '\0\x01\0\0\0', deflateSync(Buffer.from(text)))),
} satisfies Record<string, (key: string, text: string) => Buffer>;
export type PngForm = keyof typeof PNG_FORMS;

export const png = (
  texts: Readonly<Record<string, string>>,
  form: PngForm = 'iTXt',
  base = plainPng,
): Buffer =>
  Buffer.concat([
    base.subarray(0, 33),
    ...Object.entries(texts).map(([key, text]) => PNG_FORMS[form](key, text)),
    base.subarray(33),
  ]);

/** Behind the pixels, where some programs put it. */
export const pngBehind = (key: string, text: string): Buffer =>
  Buffer.concat([plainPng.subarray(0, -12), PNG_FORMS.iTXt(key, text), plainPng.subarray(-12)]);

export const xmpPacket = (inside: string): string =>
  `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">${inside}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`;
export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** EXIF UserComment in each of its codes. */
export const COMMENT_FORMS = {
  unicodeBig: (text: string) => concat('UNICODE\0', Buffer.from(text, 'utf16le').swap16()),
  unicodeLittle: (text: string) => concat('UNICODE\0', Buffer.from(text, 'utf16le')),
  unicodeMarked: (text: string) => concat('UNICODE\0', Buffer.from(`\ufeff${text}`, 'utf16le').swap16()),
  unicodeButUtf8: (text: string) => concat('UNICODE\0', Buffer.from(text)),
  ascii: (text: string) => concat('ASCII\0\0\0', Buffer.from(text)),
  undefined: (text: string) => concat('\0\0\0\0\0\0\0\0', Buffer.from(text)),
  bare: (text: string) => Buffer.from(text),
} satisfies Record<string, (text: string) => Buffer>;
export type CommentForm = keyof typeof COMMENT_FORMS;

const IDS = { ImageDescription: 0x010e, Make: 0x010f, Model: 0x0110, Software: 0x0131 } as const;
type ExifName = keyof typeof IDS;

/** A TIFF block, little-endian: strings in IFD0, UserComment in the Exif IFD. */
export function tiff(strings: Partial<Record<ExifName, string>>, comment?: Buffer): Buffer {
  const entries = (Object.entries(strings) as [ExifName, string][]).map(([name, text]) => ({
    id: IDS[name],
    type: 2,
    data: Buffer.from(`${text}\0`),
  }));
  const count = entries.length + (comment ? 1 : 0);
  const exifAt = 8 + 2 + 12 * count + 4;
  let dataAt = exifAt + (comment ? 2 + 12 + 4 : 0);
  const blobs: Buffer[] = [];
  const entry = (id: number, type: number, length: number, value: number): Buffer => {
    const out = Buffer.alloc(12);
    out.writeUInt16LE(id, 0);
    out.writeUInt16LE(type, 2);
    out.writeUInt32LE(length, 4);
    out.writeUInt32LE(value, 8);
    return out;
  };
  const placed = (id: number, type: number, data: Buffer): Buffer => {
    const at = dataAt;
    dataAt += data.length;
    blobs.push(data);
    return entry(id, type, data.length, at);
  };
  const number = (value: number): Buffer => {
    const out = Buffer.alloc(2);
    out.writeUInt16LE(value);
    return out;
  };
  const first = [
    ...entries.sort((a, b) => a.id - b.id).map(({ id, type, data }) => placed(id, type, data)),
    ...(comment ? [entry(0x8769, 4, 1, exifAt)] : []),
  ];
  const exif = comment ? [number(1), placed(0x9286, 7, comment), Buffer.alloc(4)] : [];
  return Buffer.concat([
    concat('II*\0\x08\0\0\0'),
    number(count),
    ...first,
    Buffer.alloc(4),
    ...exif,
    ...blobs,
  ]);
}

const segment = (data: Buffer): Buffer => {
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
};
export const jpeg = (exif: Buffer): Buffer =>
  Buffer.concat([plainJpeg.subarray(0, 2), segment(concat('Exif\0\0', exif)), plainJpeg.subarray(2)]);
export const jpegWithXmp = (packet: string): Buffer =>
  Buffer.concat([
    plainJpeg.subarray(0, 2),
    segment(concat('http://ns.adobe.com/xap/1.0/\0', Buffer.from(packet))),
    plainJpeg.subarray(2),
  ]);
export const pngWithExif = (exif: Buffer): Buffer =>
  Buffer.concat([plainPng.subarray(0, 33), chunk('eXIf', exif), plainPng.subarray(33)]);

const riff = (type: string, data: Buffer): Buffer => {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(data.length);
  return concat(type, size, data, data.length % 2 ? '\0' : '');
};
const webpWith = (...chunks: Buffer[]): Buffer => {
  const out = Buffer.concat([plainWebp, ...chunks]);
  out.writeUInt32LE(out.length - 8, 4);
  return out;
};
export const webp = (exif: Buffer, prefix = ''): Buffer => webpWith(riff('EXIF', concat(prefix, exif)));
export const webpWithXmp = (packet: string): Buffer => webpWith(riff('XMP ', Buffer.from(packet)));

/** Text in the lowest bits of a picture, column by column; `signature` says whether in alpha or in colours. */
export async function stealthPng(signature: string, body: Buffer): Promise<Buffer> {
  const [width, height] = [97, 61];
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length * 8);
  const hidden = concat(signature, length, body);
  const data = Buffer.alloc(width * height * 4, 0xfe);
  const alpha = signature.startsWith('stealth_png');
  for (let n = 0; n < hidden.length * 8; n++) {
    const bit = ((hidden[n >> 3] as number) >> (7 - (n & 7))) & 1;
    const pixel = alpha ? n : Math.floor(n / 3);
    const at = ((pixel % height) * width + Math.floor(pixel / height)) * 4 + (alpha ? 3 : n % 3);
    data[at] = 0xfe | bit;
  }
  return sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
}
