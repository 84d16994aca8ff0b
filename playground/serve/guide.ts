import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PageFile } from './pageBundle.ts';

/** Names below the folder of documents, with no way out of it: no part begins with a dot or holds one. */
const NAME = /^\/guide\/((?:[\w-]+\/)*[\w-]+\.(md|png|webp))$/;
const TYPES: Record<string, string> = { png: 'image/png', webp: 'image/webp' };
export const GUIDE = '/guide/prompt.md';

/**
 * The member's guide: our Markdown files and pictures, in the page's colours; scripts in them do not run.
 * @returns undefined where there is no such file
 */
export async function guideFile(folder: string, path: string, light: boolean): Promise<PageFile | undefined> {
  const [, name, kind] = NAME.exec(path) ?? [];
  if (!name || !kind) return undefined;
  const data = await readFile(join(folder, name)).catch(() => undefined);
  if (!data) return undefined;
  const type = TYPES[kind];
  return type ? { type, data } : render(data.toString('utf8'), light);
}

async function render(text: string, light: boolean): Promise<PageFile> {
  const { Marked } = await import('marked');
  const marked = new Marked({
    renderer: {
      // Anchors as GitHub makes them, so that links within the documents work in both places.
      heading({ tokens, depth, text: words }) {
        return `<h${depth} id="${slug(words)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
    },
    walkTokens(token) {
      if (light && token.type === 'link' && /^[\w-]+\.md(#|$)/.test(token['href']))
        token['href'] = token['href'].replace('.md', '.md?theme=light');
    },
  });
  const title = /^# (.+)$/m.exec(text)?.[1]?.replace(/[<>&]/g, '') ?? 'Guide';
  const html = `<!doctype html>
<html lang="en" data-theme="${light ? 'light' : 'dark'}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="stylesheet" href="/page.css"></head>
<body class="guide"><main>${await marked.parse(text)}</main></body></html>`;
  return { type: 'text/html; charset=utf-8', data: Buffer.from(html) };
}

const slug = (words: string): string =>
  words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
