import { appendFileSync } from 'node:fs';

/** Prints a measured recovery time; with RECOVERY_FILE set, also into that file, for docs/reliability.md. */
export function report(what: string, ms: number): void {
  const line = `${what}: ${(ms / 1000).toFixed(1)} s`;
  console.log(`[measured] ${line}`);
  const file = process.env['RECOVERY_FILE'];
  if (file) appendFileSync(file, `${line}\n`);
}
