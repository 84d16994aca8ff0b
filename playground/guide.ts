import { readFile } from 'node:fs/promises';
import type { PageFile } from './pageBundle.ts';

/** The member's guide: a Markdown file of ours, as a page in the colours of the rest; nothing in it runs. */
export async function guidePage(path: string | undefined, light: boolean): Promise<PageFile> {
  if (path === undefined) throw new Error('no guide was given');
  const { Marked } = await import('marked');
  const text = await readFile(path, 'utf8');
  const body = await new Marked({ gfm: true }).parse(text);
  const title = /^# (.+)$/m.exec(text)?.[1]?.replace(/[<>&]/g, '') ?? 'Guide';
  const html = `<!doctype html>
<html lang="en" data-theme="${light ? 'light' : 'dark'}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="stylesheet" href="/page.css"></head>
<body class="guide"><main>${body}</main></body></html>`;
  return { type: 'text/html; charset=utf-8', data: Buffer.from(html) };
}
