import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/**
 * Machines that are network namespaces (ip-netns(8)): each with one interface on one bridge, all of it in namespaces
 * of its own, so that the machine's own network sees nothing. The bridge is in the namespace of the `hub`, where
 * whoever conducts runs.
 */
export interface Network {
  /** A command's first words that run the rest on that machine. */
  on(host: string): string[];
  addressOf(host: string): string;
  close(): void;
}

export const HUB = 'hub';
const NET = '10.203.0';
const SLOW_LINK = resolve(import.meta.dirname, '../cluster/slow_link.py');
export const PYTHON = '/usr/bin/python3';

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

/** Why there can be no namespaces here; undefined where there can. */
export function whyNoNetwork(): string | undefined {
  const probe = `dg${process.pid}-probe`;
  const made = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  if (made.error) return 'iproute2 is not installed';
  if (made.status !== 0) return `no network namespaces here (${made.stderr.trim().split('\n')[0]})`;
  const able = spawnSync('ip', ['netns', 'exec', probe, PYTHON, '-c', 'import socket']).status === 0;
  spawnSync('ip', ['netns', 'del', probe]);
  return able ? undefined : `no ${PYTHON} here`;
}

const nameOf = (prefix: string, host: string): string => `${prefix}-${host}`;

/** What is known of a network that another process laid. */
export function openNetwork(prefix: string, hosts: readonly string[]): Network {
  return {
    on: (host) => ['ip', 'netns', 'exec', nameOf(prefix, host)],
    addressOf: (host) => (host === HUB ? `${NET}.1` : `${NET}.${hosts.indexOf(host) + 10}`),
    close: () => {
      for (const host of [...hosts, HUB, ...hosts.map((one) => `${one}-x`)])
        spawnSync('ip', ['netns', 'del', nameOf(prefix, host)]);
    },
  };
}

/** @param slow hosts whose link passes through a namespace of its own, where `slow_link.py` can hold it up */
export function layNetwork(prefix: string, hosts: readonly string[], slow: readonly string[]): Network {
  const network = openNetwork(prefix, hosts);
  network.close();
  try {
    const hub = nameOf(prefix, HUB);
    ip('netns', 'add', hub);
    ip('-n', hub, 'link', 'set', 'lo', 'up');
    ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
    ip('-n', hub, 'addr', 'add', `${NET}.1/24`, 'dev', 'br0');
    ip('-n', hub, 'link', 'set', 'br0', 'up');
    for (const host of hosts) {
      const name = nameOf(prefix, host);
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
      const wire = ['-n', hub, 'link', 'add', 'name', host, 'type', 'veth', 'peer', 'name'];
      if (slow.includes(host)) {
        const middle = nameOf(prefix, `${host}-x`);
        ip('netns', 'add', middle);
        ip(...wire, 'one', 'netns', middle);
        ip(
          '-n',
          middle,
          'link',
          'add',
          'name',
          'other',
          'type',
          'veth',
          'peer',
          'name',
          'eth0',
          'netns',
          name,
        );
        for (const end of ['one', 'other']) ip('-n', middle, 'link', 'set', end, 'up', 'promisc', 'on');
        spawnSync('ip', ['netns', 'exec', name, PYTHON, SLOW_LINK, 'plain', 'eth0']);
        spawnSync('ip', ['netns', 'exec', hub, PYTHON, SLOW_LINK, 'plain', host]);
      } else ip(...wire, 'eth0', 'netns', name);
      ip('-n', hub, 'link', 'set', 'dev', host, 'master', 'br0', 'up');
      ip('-n', name, 'addr', 'add', `${network.addressOf(host)}/24`, 'dev', 'eth0');
      ip('-n', name, 'link', 'set', 'eth0', 'up');
    }
    return network;
  } catch (error) {
    network.close();
    throw error;
  }
}

/** From the hub: a host's wire is pulled, or put in again. */
export const setLink = (host: string, state: 'up' | 'down'): void => ip('link', 'set', 'dev', host, state);

export interface SlowLink {
  set(milliseconds: number, lossPercent: number): void;
  close(): void;
}

/** From the hub: carries the frames of a host that was laid `slow`. */
export async function startSlowLink(network: Network, host: string): Promise<SlowLink> {
  const [command, ...args] = [...network.on(`${host}-x`), PYTHON, SLOW_LINK, 'carry', 'one', 'other'];
  const child: ChildProcess = spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((ready, reject) => {
    child.stdout?.once('data', () => ready());
    child.once('exit', (code) => reject(new Error(`slow_link.py ended with ${code}`)));
  });
  return {
    set: (milliseconds, lossPercent) => void child.stdin?.write(`${milliseconds} ${lossPercent}\n`),
    close: () => void child.kill('SIGKILL'),
  };
}
