import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { envTable } from '../../shared/service/env.ts';
import { startFaultStack } from '../support/faults.ts';

/** No engine for containers is needed: what the images are made of is built and started as they would. */
const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Service {
  scale?: string;
  profiles?: string[];
  image?: string;
  user?: string;
  read_only?: boolean;
  tmpfs?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  ports?: unknown;
  privileged?: unknown;
  network_mode?: unknown;
  volumes?: string[];
  command?: string;
  build?: { target: string };
  environment?: Record<string, string | number>;
  healthcheck?: { test: string[] };
}
const { name, services, volumes } = parse(read('docker-compose.yml'), { merge: true }) as {
  name: string;
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};

describe('docker-compose.yml', () => {
  it.each(Object.entries(services))(
    '%s: read-only root, no capability, no new privileges, no port',
    (_, service) => {
      expect(service.read_only).toBe(true);
      expect(service.cap_drop).toEqual(['ALL']);
      expect(service.security_opt).toEqual(['no-new-privileges:true']);
      for (const opening of ['ports', 'privileged', 'network_mode'] as const)
        expect(service[opening]).toBeUndefined();
      // Nothing of the machine itself, above all not the engine's socket.
      for (const volume of service.volumes ?? []) expect(volume).toMatch(/^(?:pictures|redis):\/data$/);
      expect(service.healthcheck?.test[0]).toBe('CMD');
    },
  );

  it.each(['bot', 'worker', 'worker-gpu'])('%s: production, a password, room for temporary files', (name) => {
    const { environment = {}, tmpfs } = services[name] as Service;
    expect(environment['NODE_ENV']).toBe('production');
    expect(environment['REDIS_URL']).toMatch(/^redis:\/\/:\$\{REDIS_PASSWORD:\?.+\}@redis:6379$/);
    expect(environment['HEALTH_HOST']).toMatch(/^\$\{HEALTH_HOST:-127\.0\.0\.1\}$/);
    expect(tmpfs).toEqual(['/tmp']);
    for (const key of Object.keys(environment)) expect(Object.keys(envTable)).toContain(key);
  });

  it('the volumes and the network have the names that the runbook types, whatever the folder is called', () => {
    const typed = read('docs/operations.md').matchAll(/(?:volume rm -f|--network) (\w+)/g);
    const known = [...Object.keys(volumes), 'default'].map((one) => `${name}_${one}`);
    const names = [...typed].map(([, one]) => one);
    expect(names).toHaveLength(2);
    for (const one of names) expect(known).toContain(one);
  });

  it('.env alone says how many workers there are, and of which kind', () => {
    expect(services['worker']?.scale).toMatch(/^\$\{WORKERS:-1\}$/);
    expect(services['worker-gpu']?.profiles).toEqual(['gpu']);
    for (const setting of ['WORKERS', 'COMPOSE_PROFILES=gpu'])
      expect(read('.env.example')).toContain(setting);
  });

  it('Redis keeps what it is given, asks for a password and is not root', () => {
    const { command, user } = services['redis'] as Service;
    expect(user).toBe('redis');
    for (const part of [
      '--appendonly yes',
      '--maxmemory-policy noeviction',
      '--requirepass ${REDIS_PASSWORD:?',
    ])
      expect(command).toContain(part);
  });
});

interface Stage {
  name: string;
  from: string;
  lines: string[];
}
function stages(): Stage[] {
  const found: Stage[] = [];
  for (const line of read('Dockerfile').replace(/\\\n/g, ' ').split('\n')) {
    const from = /^FROM (\S+) AS (\S+)$/.exec(line);
    if (from) found.push({ from: from[1] as string, name: from[2] as string, lines: [] });
    else if (line !== '' && !line.startsWith('#')) found.at(-1)?.lines.push(line);
  }
  return found;
}
/** All lines of an image, those of its base first. */
const linesOf = (name: string): string[] => {
  const stage = stages().find((one) => one.name === name);
  return stage ? [...linesOf(stage.from), ...stage.lines] : [];
};

describe('Dockerfile', () => {
  const targets = Object.values(services).flatMap(({ build }) => (build ? [build.target] : []));

  it.each(targets)('%s runs as user 1000, who owns /data, and its command was built', (target) => {
    const lines = linesOf(target);
    const user = lines.findLastIndex((line) => line.startsWith('USER '));
    expect(lines[user]).toBe('USER 1000:1000');
    expect(lines.slice(user + 1).filter((line) => line.startsWith('RUN'))).toEqual([]);
    expect(lines.join('\n')).toContain('chown 1000:1000 /data');
    expect(lines.join('\n')).not.toMatch(/^(?:ADD|EXPOSE|ENV .*(?:TOKEN|PASSWORD)=)/m);
    const [, command] =
      /^CMD \["node", "--enable-source-maps", "dist\/(.+)\.js"\]$/.exec(lines.at(-1) ?? '') ?? [];
    expect(existsSync(join(root, `${command}.ts`))).toBe(true);
  });

  it('copies only what is there and what .dockerignore lets in', () => {
    const ignored = read('.dockerignore').split('\n').filter(Boolean);
    expect(ignored).toEqual(expect.arrayContaining(['node_modules', 'dist', '.git', '.env', '.dreamgrid']));
    for (const { lines } of stages())
      for (const line of lines.filter((one) => one.startsWith('COPY ') && !one.includes('--from=')))
        for (const source of line.split(' ').slice(1, -1)) {
          expect(existsSync(join(root, source)), source).toBe(true);
          expect(ignored).not.toContain(source.split('/')[0]);
        }
  });
});

/** Addresses that a process listens on, as /proc has them (proc(5): state 0A is LISTEN). */
async function listening(pid: number): Promise<string[]> {
  const own = new Set<string>();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ''))?.[1];
    if (inode) own.add(inode);
  }
  const found: string[] = [];
  for (const table of ['tcp', 'tcp6'])
    for (const line of (await readFile(`/proc/${pid}/net/${table}`, 'utf8')).split('\n').slice(1)) {
      const [, address = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
      if (state === '0A' && own.has(inode)) found.push(address);
    }
  return found;
}

/** `npm run build` into a folder with the production packages alone, as the images have them. */
describe('what the images start', () => {
  let app: string;
  beforeAll(() => {
    app = mkdtempSync(join(tmpdir(), 'dreamgrid-image-'));
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const built = spawnSync(
      process.execPath,
      [tsc, '-p', 'tsconfig.build.json', '--outDir', join(app, 'dist')],
      {
        cwd: root,
        encoding: 'utf8',
      },
    );
    expect(built.status, built.stdout).toBe(0);
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { dev?: boolean; devOptional?: boolean }>;
    };
    for (const [path, { dev, devOptional }] of Object.entries(packages)) {
      if (!/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path) || dev || devOptional) continue;
      if (!existsSync(join(root, path))) continue; // of another platform
      mkdirSync(dirname(join(app, path)), { recursive: true });
      symlinkSync(join(root, path), join(app, path));
    }
    mkdirSync(join(app, 'worker/cli'), { recursive: true });
    for (const path of ['package.json', 'worker/cli/bin.mjs', 'models'])
      symlinkSync(join(root, path), join(app, path));
  });
  afterAll(() => rmSync(app, { recursive: true, force: true }));

  it('has none of the tools that build it', () => {
    const there = readdirSync(join(app, 'node_modules'));
    expect(there).toContain('discord.js');
    for (const tool of ['typescript', 'tsx', 'vitest', 'yaml', '@biomejs']) expect(there).not.toContain(tool);
  });

  it('the command line answers', () => {
    const cli = (...args: string[]) =>
      spawnSync(process.execPath, ['--preserve-symlinks-main', join(app, 'worker/cli/bin.mjs'), ...args], {
        cwd: app,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] },
      });
    const help = cli('help');
    expect(help.stdout + help.stderr).toMatch(/^dreamgrid <command>/);
    const models = cli('models', '--json');
    expect(models.status, models.stderr).toBe(0);
    expect(models.stdout).toContain('pocket');
  });

  /**
   * The nearest thing to a container without an engine: of one's own the view of the disk, read-only but for what
   * the compose file mounts; the user of the image, no capability, no new privileges. `$APP` is what the image has in /app.
   */
  const CONTAINER = `set -e
    mount --make-rprivate / && mount -t tmpfs none /mnt && mkdir /mnt/app /mnt/data /mnt/models /mnt/modules
    mount --bind "$APP" /mnt/app && mount -o remount,bind,ro /mnt/app
    mount --bind "$MODULES" /mnt/modules && mount -o remount,bind,ro /mnt/modules
    mount --bind "$MODELS_DIR" /mnt/models && mount -o remount,bind,ro /mnt/models
    mount --bind "$DATA_DIR" /mnt/data && mount -o remount,ro /mnt
    mount -t tmpfs -o mode=1777 none /tmp && mount -o remount,bind,ro /
    case "$MODULES" in /tmp/*) mkdir -p "$MODULES" && mount --bind /mnt/modules "$MODULES" ;; esac
    cd /mnt/app
    export DATA_DIR=/mnt/data MODELS_DIR=/mnt/models
    exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"`;
  const able =
    spawnSync('unshare', ['-m', 'sh', '-c', 'mount --make-rprivate / && setpriv true']).status === 0;

  it.runIf(able)(
    'as user 1000, without rights, on a read-only disk but for /data and /tmp: a grid (the image itself, its network and limits are not tried: no engine)',
    async () => {
      for (const name of ['bot', 'worker']) {
        const { volumes: mounts, tmpfs, read_only } = services[name] as Service;
        expect([mounts, tmpfs, read_only]).toEqual([['pictures:/data'], ['/tmp'], true]);
      }
      const stack = await startFaultStack();
      try {
        chmodSync(app, 0o755);
        chmodSync(stack.models?.root ?? app, 0o755);
        chownSync(stack.dataDir, 1000, 1000);
        // The packages are linked from here, and /tmp is another one in there.
        const own = { APP: app, MODULES: join(root, 'node_modules') };
        const within = ['unshare', '-m', 'sh', '-c', CONTAINER, 'container'];
        await Promise.all([
          stack.start('/mnt/app/dist/bot/main.js', 'bot ready', own, within),
          stack.start('/mnt/app/dist/worker/main.js', 'worker ready', own, within),
        ]);
        const handle = await stack.imagine('behind bars');
        await stack.grid(handle);
        for (const { process: child } of stack.processes) {
          const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
          expect(status).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
          expect(status).toMatch(/^CapBnd:\t0+$/m);
          expect(status).toMatch(/^NoNewPrivs:\t1$/m);
          const mounts = await readFile(`/proc/${child.pid}/mounts`, 'utf8');
          for (const place of ['/', '/mnt', '/mnt/app', '/mnt/models'])
            expect(mounts).toMatch(new RegExp(`^\\S+ ${place} \\S+ ro,`, 'm'));
        }
        for (const name of await readdir(join(stack.dataDir, handle.id)))
          expect(statSync(join(stack.dataDir, handle.id, name)).uid).toBe(1000);
        await stack.expectClean();
      } finally {
        await stack.close();
      }
    },
  );

  it('bot and worker paint a grid, and listen on no port', async () => {
    const stack = await startFaultStack();
    try {
      await Promise.all([
        stack.start(join(app, 'dist/bot/main.js'), 'bot ready'),
        stack.start(join(app, 'dist/worker/main.js'), 'worker ready'),
      ]);
      await stack.grid(await stack.imagine('out of the box'));
      for (const one of stack.processes) expect(await listening(one.process.pid as number)).toEqual([]);
      expect(await listening(process.pid)).not.toEqual([]); // the local Discord, here
      await stack.expectClean();
    } finally {
      await stack.close();
    }
  });
});
