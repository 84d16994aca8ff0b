import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { HUB, layNetwork } from '../support/network.ts';
import { HOSTS, SLOW } from './hosts.ts';
import type { PlayOptions, PlayReport } from './play.ts';

/** Lays the network, plays in its hub, and takes it up again. */
export async function conduct(options: Omit<PlayOptions, 'prefix'>): Promise<PlayReport> {
  const prefix = `dg${process.pid}`;
  const network = layNetwork(prefix, HOSTS, SLOW);
  try {
    const { VITEST: _, ...env } = process.env; // a process of its own, not part of a test runner
    const [command, ...args] = [
      ...network.on(HUB),
      process.execPath,
      ...['--import', import.meta.resolve('tsx')],
      resolve(import.meta.dirname, 'play.ts'),
      JSON.stringify({ ...options, prefix }),
    ];
    const child = spawn(command as string, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    let told = '';
    child.stdout.on('data', (text) => {
      said += String(text);
    });
    child.stderr.on('data', (text) => {
      told += String(text);
    });
    const code = await new Promise((ended) => child.once('exit', ended));
    if (code !== 0) throw new Error(`the play ended with ${code}: ${told.slice(-3000)}`);
    return JSON.parse(said.trim().split('\n').at(-1) as string) as PlayReport;
  } finally {
    network.close();
  }
}
