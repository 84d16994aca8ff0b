import { promisify } from 'node:util';
import { crc32, inflate as inflateWithCallback } from 'node:zlib';
import ExifReader, { type ExpandedTags } from 'exifreader';

/**
 * Texts inside a picture's file, wherever programs put them: PNG text chunks (tEXt, zTXt, iTXt, compressed or
 * not), EXIF in PNG, JPEG and WebP, XMP. Bytes are untrusted: unreadable text is left out, never an exception.
 */
export interface Metadata {
  /** By keyword: PNG text chunks, and EXIF strings of the form `prompt:{…}` that ComfyUI writes into WebP. */
  readonly texts: ReadonlyMap<string, string>;
  /** EXIF UserComment, decoded. */
  readonly comment: string | undefined;
  /** The other EXIF strings: ImageDescription, Software, Make, … */
  readonly exif: ReadonlyMap<string, string>;
  /** XMP properties by local name; of alternatives the first. */
  readonly xmp: ReadonlyMap<string, string>;
  /** False where the checksum of a PNG chunk with words in it is wrong. */
  readonly sound: boolean;
}

const inflate = promisify(inflateWithCallback);
/** Most bytes of decompressed text. The largest workflows are a few megabytes. */
const MAX_TEXT = 16 << 20;
/** Most chunks or segments of a file: a PNG of 20 MB has 2,500 chunks. */
const MAX_CHUNKS = 20_000;
/** Limits of XMP: its parser builds a tree of all elements. Text inside of few elements may be long. */
const MAX_XMP = { bytes: 4 << 20, elements: 4_000 };
/** The longest keyword that the PNG specification allows. */
const MAX_KEYWORD = 79;
/** What the library gives for text that it cannot decompress. */
const UNREADABLE = '<text using unknown compression>';

/** Metadata of an untrusted file; empty for bytes that are no picture, never an exception. */
export async function readMetadata(bytes: Uint8Array): Promise<Metadata> {
  if (isCrowded(bytes)) return nothing;
  const file = Buffer.from(bytes);
  try {
    const decompress = { deflate: async (data: Uint8Array) => inflate(data, { maxOutputLength: MAX_TEXT }) };
    const tags = await ExifReader.load(file, { ...OPTIONS, async: true, decompress });
    return collect(file, tags);
  } catch {
    return nothing; // no picture, or one without metadata
  }
}

/** The same synchronously, without compressed text: enough for files that Dreamgrid wrote. */
export function readPlainMetadata(bytes: Uint8Array): Metadata {
  if (isCrowded(bytes)) return nothing;
  const file = Buffer.from(bytes);
  try {
    return collect(file, ExifReader.load(file, OPTIONS));
  } catch {
    return nothing;
  }
}

const nothing: Metadata = {
  texts: new Map(),
  comment: undefined,
  exif: new Map(),
  xmp: new Map(),
  sound: true,
};

const OPTIONS = { expanded: true, includeOffsets: true, includeTags: { png: true, exif: true } } as const;

interface Tag {
  value?: unknown;
  description?: unknown;
}
const tagsOf = (group: object | undefined): [string, Tag][] =>
  Object.entries(group ?? {}).map(([name, tag]) => [
    name,
    typeof tag === 'object' && tag !== null ? tag : {},
  ]);

function collect(file: Buffer, tags: ExpandedTags): Metadata {
  const texts = new Map<string, string>();
  const exif = new Map<string, string>();
  const xmp = new Map<string, string>();
  for (const [name, { value }] of tagsOf(tags.png)) {
    if (typeof value !== 'string' || value === UNREADABLE) continue;
    // A language tag is part of the library's name: `parameters (en)`.
    texts.set(name.replace(/ \([\w-]+\)$/, ''), asUtf8(value));
  }
  let comment: string | undefined;
  for (const [name, { value, description }] of tagsOf(tags.exif)) {
    const isText = Array.isArray(value) && value.every((item) => typeof item === 'string');
    if (name === 'UserComment') {
      comment = isText ? value.join('') : isBytes(value) ? decodeUserComment(value) : undefined;
    } else if (isText || (name.startsWith('XP') && typeof description === 'string')) {
      const text = (isText ? value.join('') : String(description)).replace(/\0+$/, '');
      exif.set(name, text);
      const labelled = /^(prompt|workflow|parameters)\s*:\s*(?=\S)/i.exec(text);
      if (labelled) texts.set((labelled[1] as string).toLowerCase(), text.slice(labelled[0].length));
    }
  }
  const blocks = tags.metadataRange?.blocks ?? [];
  const packets = blocks
    .filter(({ type }) => type === 'xmp')
    .map(({ start, end }) => file.subarray(start, end));
  if (packets.length > 0 && packets.every(isReadable)) {
    const { xmp: properties } = ExifReader.load(file, { expanded: true, includeTags: { xmp: true } });
    for (const [name, { value }] of tagsOf(properties)) {
      const text = firstText(value);
      if (text !== undefined) xmp.set(name, text);
    }
  }
  const sound = !isPng(file) || blocks.every(({ start, end }) => isSound(file, start, end));
  return { texts, comment, exif, xmp, sound };
}

/** PNG, annex D: the checksum is that of the chunk's type and data. */
const isSound = (file: Buffer, start: number, end: number): boolean =>
  end <= file.length && crc32(file.subarray(start + 4, end - 4)) === file.readUInt32BE(end - 4);

const isReadable = (packet: Buffer): boolean => {
  if (packet.length > MAX_XMP.bytes) return false;
  let elements = 0;
  for (
    let at = packet.indexOf('<');
    at >= 0 && elements <= MAX_XMP.elements;
    at = packet.indexOf('<', at + 1)
  )
    elements++;
  return elements <= MAX_XMP.elements;
};

const isPng = (file: Buffer): boolean => file.toString('latin1', 1, 4) === 'PNG';

/** Whether a file has so many chunks, or so long a keyword, that reading it would block the process. */
function isCrowded(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const png = isPng(file);
  if (!png && file.toString('latin1', 0, 4) !== 'RIFF') return false;
  let count = 0;
  for (let at = png ? 8 : 12; at + 8 <= file.length; count++) {
    if (count > MAX_CHUNKS) return true;
    const length = png ? file.readUInt32BE(at) : file.readUInt32LE(at + 4);
    const isText = png && file.toString('latin1', at + 5, at + 8).toUpperCase() === 'TXT';
    if (isText && !file.subarray(at + 8, at + 9 + MAX_KEYWORD).includes(0)) return true;
    at += png ? 12 + length : 8 + length + (length % 2);
  }
  return false;
}

const isBytes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isInteger(item) && item >= 0 && item < 256);

/** A property's own text, or the first of its alternatives (`rdf:Alt`). */
const firstText = (value: unknown, depth = 0): string | undefined => {
  if (typeof value === 'string') return value;
  if (depth > 3 || typeof value !== 'object' || value === null) return undefined;
  const [first] = Array.isArray(value) ? value : [];
  return typeof first === 'object' && first !== null
    ? firstText((first as Tag).value, depth + 1)
    : firstText(first, depth + 1);
};

/** Windows-1252 between 0x80 and 0x9f: what a decoder of "Latin-1" makes of these bytes by the WHATWG standard. */
const C1 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';

/**
 * Text that was decoded as Latin-1, decoded as UTF-8 where its bytes are that: the standard says Latin-1 for tEXt
 * and zTXt, several programs write UTF-8 all the same.
 */
export function asUtf8(text: string): string {
  if (!/[\u0080-\uffff]/.test(text)) return text;
  const bytes = Buffer.alloc(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const byte = code < 0x100 ? code : 0x80 + C1.indexOf(text.charAt(i));
    if (byte < 0x80 && code >= 0x80) return text;
    bytes[i] = byte;
  }
  return utf8(bytes) ?? text;
}

const utf8 = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
};

/**
 * EXIF 2.3, UserComment: eight bytes name the code. UNICODE says nothing of the byte order, and programs follow
 * neither the standard nor the file's own: the order that gives more letters of ASCII is the one that was meant.
 */
function decodeUserComment(value: readonly number[]): string {
  const bytes = Buffer.from(value);
  const code = bytes.toString('latin1', 0, 8);
  const body = /^(?:ASCII|UNICODE|JIS|\0)\0+$/.test(code) ? bytes.subarray(8) : bytes;
  const text = code.startsWith('UNICODE\0') ? utf16(body) : (utf8(body) ?? body.toString('latin1'));
  return text.replace(/^\ufeff|\0+$/g, '');
}

function utf16(bytes: Buffer): string {
  const even = bytes.subarray(0, bytes.length & ~1);
  const little = even.toString('utf16le');
  const big = Buffer.from(even).swap16().toString('utf16le');
  const plain = (text: string): number => text.match(/[\n\r\t -~]/g)?.length ?? 0;
  if (little.startsWith('\ufeff') || big.startsWith('\ufeff')) return big.startsWith('\ufeff') ? big : little;
  // Some programs write the name of the code and then UTF-8.
  const narrow = utf8(bytes);
  if (narrow !== undefined && !narrow.includes('\0') && plain(narrow) > plain(little) + plain(big))
    return narrow;
  return plain(little) > plain(big) ? little : big;
}
