import type { FileUpload, Json } from '../world/types.ts';
import { refuse } from './errors.ts';

export interface Form {
  body: unknown;
  /** Files by the n of `files[n]`. */
  files: Map<number, FileUpload>;
}

function header(block: string, name: string): string {
  return block.split('\r\n').find((line) => line.toLowerCase().startsWith(`${name}:`)) ?? '';
}

/** `payload_json` and `files[n]`, as Discord's clients send them. */
export function parseMultipart(data: Buffer, contentType: string): Form {
  const boundary = /boundary="?([^";]+)"?/i.exec(contentType)?.[1];
  if (!boundary) throw refuse.invalidJson();
  const mark = Buffer.from(`--${boundary}`);
  const files = new Map<number, FileUpload>();
  const fields: Json = {};
  let payload: unknown;
  let at = data.indexOf(mark);
  while (at >= 0) {
    const from = at + mark.length;
    if (data.toString('latin1', from, from + 2) === '--') break;
    const next = data.indexOf(mark, from);
    if (next < 0) throw refuse.invalidJson();
    const split = data.indexOf('\r\n\r\n', from);
    if (split < 0 || split > next) throw refuse.invalidJson();
    const head = data.toString('utf8', from + 2, split);
    const content = data.subarray(split + 4, next - 2);
    const disposition = header(head, 'content-disposition');
    const name = /[; ]name="([^"]*)"/i.exec(disposition)?.[1] ?? '';
    const file = /filename="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1];
    if (name === 'payload_json') payload = parseJson(content);
    else if (file !== undefined || name.startsWith('files[')) {
      const index = Number(/^files?\[?(\d*)\]?$/.exec(name)?.[1] || 0);
      const contentType = /:\s*(.+)$/.exec(header(head, 'content-type'))?.[1];
      files.set(index, {
        name: file ?? 'file',
        data: Buffer.from(content),
        ...(contentType ? { contentType } : {}),
      });
    } else fields[name] = content.toString('utf8');
    at = next;
  }
  return { body: payload ?? fields, files };
}

export function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'));
  } catch {
    throw refuse.invalidJson();
  }
}
