import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  type: string;
  data: Buffer;
}

const here = (name: string): string => fileURLToPath(new URL(`../page/${name}`, import.meta.url));

async function build(): Promise<Map<string, PageFile>> {
  // esbuild is loaded on demand: a bot's test that never opens the page does not pay for it.
  const { build: bundle } = await import('esbuild');
  const result = await bundle({
    entryPoints: [here('main.ts'), here('style.css')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    minify: true,
    write: false,
    outdir: 'out',
    legalComments: 'none',
    tsconfig: here('tsconfig.json'),
    logLevel: 'silent',
  });
  const output = (end: string): Buffer =>
    Buffer.from(result.outputFiles.find((f) => f.path.endsWith(end))!.contents);
  return new Map<string, PageFile>([
    ['/', { type: 'text/html; charset=utf-8', data: await readFile(here('index.html')) }],
    ['/page.css', { type: 'text/css; charset=utf-8', data: output('.css') }],
    ['/page.js', { type: 'text/javascript; charset=utf-8', data: output('.js') }],
  ]);
}

let built: Promise<Map<string, PageFile>> | undefined;

/** The page's three files, bundled once a process; a failed build is tried again at the next request. */
export function pageFiles(): Promise<Map<string, PageFile>> {
  built ??= build().catch((error) => {
    built = undefined;
    throw error;
  });
  return built;
}
