#!/usr/bin/env node
// The `dreamgrid` command: runs the TypeScript sources where they are (a checkout), else what `npm run build` made.
import { existsSync } from 'node:fs';

const source = new URL('./main.ts', import.meta.url);
const beside = new URL('./main.js', import.meta.url);
const built = new URL('../../dist/worker/cli/main.js', import.meta.url);

let main;
if (existsSync(source)) {
  const { register } = await import('tsx/esm/api');
  register();
  ({ main } = await import(source.href));
} else ({ main } = await import(existsSync(beside) ? beside.href : built.href));

process.exitCode = await main(process.argv.slice(2));
