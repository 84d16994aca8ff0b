import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A named place where a test can break the process: DREAMGRID_FAULT=name:action[:pass[:marker]],… Actions: kill
 * (SIGKILL), exit, throw, out-of-memory, hang (the event loop stands still), wait (until the process is killed),
 * slow (`pass` milliseconds every time, as if the work were somewhere else). `pass` counts from 1. With a marker file the fault happens once, also across restarts. Never in production.
 */
interface Fault {
  action: string;
  pass: number;
  marker: string | undefined;
}

const faults = new Map<string, Fault>();
const passes = new Map<string, number>();

if (process.env.NODE_ENV !== 'production') {
  for (const item of (process.env.DREAMGRID_FAULT ?? '').split(',').filter(Boolean)) {
    const [name = '', action = 'kill', pass = '1', ...marker] = item.split(':');
    faults.set(name, { action, pass: Number(pass), marker: marker.join(':') || undefined });
  }
}

export async function faultPoint(name: string): Promise<void> {
  const fault = faults.get(name);
  if (!fault) return;
  if (fault.action === 'slow') return sleep(fault.pass);
  const pass = (passes.get(name) ?? 0) + 1;
  passes.set(name, pass);
  if (pass !== fault.pass) return;
  if (fault.marker !== undefined) {
    if (existsSync(fault.marker)) return;
    writeFileSync(fault.marker, name);
  }
  if (fault.action === 'kill') process.kill(process.pid, 'SIGKILL');
  else if (fault.action === 'exit') process.exit(70);
  else if (fault.action === 'throw') throw new Error(`fault ${name}`);
  else if (fault.action === 'out-of-memory') throw new Error(`fault ${name}: out of memory`);
  else if (fault.action === 'hang') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  await sleep(3_600_000, undefined, { ref: false });
}
