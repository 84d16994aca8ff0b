// The launcher behind `npm start`, `npm test`, `npm run check`, `npm run bench` and `npm run storm`: plain
// JavaScript without dependencies, because it is what installs them. npm runs no pre- and post-scripts under
// `ignore-scripts`.

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const home = resolve(root, process.env.DREAMGRID_HOME ?? '.dreamgrid');
const say = (text) => process.stdout.write(`${text}\n`);
const fail = (text) => {
  process.stderr.write(`${text}\n`);
  process.exit(1);
};

// --- 1. What must be there ---------------------------------------------------------------------------------

function needNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Dreamgrid needs Node 20.19 or later; this is ${process.versions.node}.`);
}

/** `npm ci` when what is installed (npm's own record of it) is not what package-lock.json asks for. */
function needPackages() {
  const read = (path) => (existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')).packages ?? {}) : {});
  const wanted = read(join(root, 'package-lock.json'));
  const have = read(join(root, 'node_modules', '.package-lock.json'));
  const stale = Object.entries(wanted).some(
    ([path, entry]) =>
      path !== '' && !entry.optional && !entry.devOptional && have[path]?.version !== entry.version,
  );
  if (!stale) return;
  say('Installing npm packages (about a minute, once) …');
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (done.status !== 0)
    fail('npm ci failed; see the lines above. Run it by hand in this folder, then try again.');
}

const found = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

/** Installs Debian packages as root or by sudo without a password. @returns whether it worked */
function aptInstall(packages) {
  if (process.platform !== 'linux' || !found('apt-get')) return false;
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  if (asRoot.length > 0 && spawnSync('sudo', ['-n', 'true']).status !== 0) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => {
    const [command, ...rest] = [...asRoot, 'apt-get', ...args];
    return spawnSync(command, rest, { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
  };
  const install = () => apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
  say(`Installing ${packages.join(', ')} (Debian packages, once) …`);
  return install() || (apt('update', '-qq') && install());
}

function needRedis() {
  if (found('redis-server') || (aptInstall(['redis-server']) && found('redis-server'))) return;
  fail(
    'redis-server is missing. Install it (Debian/Ubuntu: sudo apt-get install redis-server · macOS: brew install redis) or set REDIS_URL.',
  );
}

/** For the browser tests; they say that they were skipped where it cannot be had. */
function wantChromium() {
  if (['chromium', 'chromium-browser', 'google-chrome'].some(found)) return;
  if (!aptInstall(['chromium', 'fonts-noto-color-emoji']))
    say('No chromium here: the browser tests will be skipped.');
}

/** A real server of S3's API for the tests of the bucket; they say that they were skipped where it cannot be had. */
function wantSwift() {
  const there = () => spawnSync('/usr/bin/python3', ['-c', 'import swift.proxy.server']).status === 0;
  if (process.platform !== 'linux' || there()) return;
  if (!aptInstall(['python3-swift'])) say('No OpenStack Swift here: buckets are tried on s3rver alone.');
}

// --- 2. Processes ------------------------------------------------------------------------------------------

const children = new Map(); // name → { process, stopping }
let stopping = false;

const time = () => new Date().toTimeString().slice(0, 8);
const colour = process.stdout.isTTY ? (code, text) => `\u001b[${code}m${text}\u001b[0m` : (_, text) => text;

/** One calm line for each log event: time, who, what, and the few fields that matter. */
function printLog(name, line) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    // no JSON
  }
  if (typeof event !== 'object' || event === null)
    return line.trim() === '' ? undefined : say(`${time()} ${name.padEnd(10)} ${line}`);
  if (event.msg === undefined) return event;
  const { level, time: at, msg, name: _n, pid: _p, hostname: _h, err, ...fields } = event;
  const extra = Object.entries(fields)
    .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value))
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');
  const serious = level === 'error' || level === 'fatal' ? 31 : level === 'warn' ? 33 : 0;
  const clock = at ? new Date(at).toTimeString().slice(0, 8) : time();
  say(
    `${colour(2, clock)} ${name.padEnd(10)} ${colour(serious, msg)} ${colour(2, extra)}${err?.message ? ` ${colour(serious, err.message)}` : ''}`.trimEnd(),
  );
  return event;
}

const pidFile = join(home, 'pids.json');
/** By rename: a launcher that is killed meanwhile leaves the old list or the new one. A full disk ends nobody. */
function writePids() {
  const all = [...children].map(([name, { process: child }]) => ({ name, pid: child.pid }));
  try {
    writeFileSync(`${pidFile}.tmp`, JSON.stringify({ launcher: process.pid, children: all }));
    renameSync(`${pidFile}.tmp`, pidFile);
  } catch (error) {
    say(`${time()} launcher   cannot write ${pidFile}: ${error.message}`);
  }
}

function readPids() {
  try {
    const { launcher, children: left } = JSON.parse(readFileSync(pidFile, 'utf8'));
    return { launcher, left: Array.isArray(left) ? left : [] };
  } catch (error) {
    if (error.code !== 'ENOENT') say(`${time()} launcher   cannot read ${pidFile}; goes on without it`);
    return { left: [] };
  }
}

/** What a process was started with; empty where it is gone. */
function commandOf(pid) {
  if (!Number.isInteger(pid)) return '';
  if (!existsSync('/proc/self/cmdline'))
    return String(spawnSync('ps', ['-o', 'command=', '-p', String(pid)]).stdout ?? '');
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** A second launcher in the same folder would fight the first; the children of a killed one live on and are ended. */
function endOrphans() {
  const { launcher, left } = readPids();
  if (launcher !== process.pid && commandOf(launcher).includes('start.mjs'))
    fail(
      `Dreamgrid runs here already (process ${launcher}). Stop it first, or set DREAMGRID_HOME to another folder.`,
    );
  for (const pid of left.map((one) => one?.pid)) {
    try {
      if (commandOf(pid).includes(root)) process.kill(pid, 'SIGKILL');
    } catch {} // ended meanwhile
  }
  rmSync(pidFile, { force: true });
}

/** All were up once. Until then a child that fails says why and takes the launcher with it; from then on none does. */
let running = false;

/**
 * Starts a child in a process group of its own, so that Ctrl-C reaches the launcher alone and the order of
 * stopping is ours. A child that ends, or does not come up again (Discord or the network may be away for hours), is
 * started again, slower each time.
 * @returns what `ready` made of the first line that it took
 */
function run(name, command, args, { env = {}, ready } = {}) {
  let failures = 0; // in a row: a minute of work is a success
  return new Promise((resolveReady) => {
    const launch = () => {
      const began = Date.now();
      let isReady = ready === undefined;
      let isOver = false;
      let lastLine = '';
      const over = (how, code) => {
        if (isOver) return;
        isOver = true;
        children.delete(name);
        if (stopping) return;
        writePids();
        failures = isReady && Date.now() - began > 60_000 ? 0 : failures + 1;
        const why = lastLine ? `: ${lastLine}` : '';
        if (!running && !isReady) return void stop(1, `${name} did not start (${how})${why}`);
        if (!running && code === 1 && failures > 3) return void stop(1, `${name} keeps ending${why}`);
        say(`${time()} ${name.padEnd(10)} ended (${how}); starting again`);
        const delay = Math.min(500 * 2 ** (failures - 1), 30_000);
        setTimeout(() => stopping || launch(), delay);
      };
      let child;
      try {
        child = spawn(command, args, {
          cwd: root,
          env: { ...process.env, ...env },
          detached: true,
          stdio: ['ignore', 'pipe', 'pipe'],
        });
      } catch (error) {
        return over(error.message); // no memory for one more process
      }
      children.set(name, { process: child, ready: () => isReady });
      writePids();
      const onLine = (line) => {
        lastLine = line;
        const event = name === 'redis' ? { msg: line } : printLog(name, line);
        if (name === 'playground' && event?.ask === 'kill-worker') killWorker();
        if (isReady || !event) return;
        const answer = ready(event);
        if (answer !== undefined) {
          isReady = true;
          resolveReady(answer);
        }
      };
      createInterface({ input: child.stdout }).on('line', onLine);
      createInterface({ input: child.stderr }).on('line', (line) => {
        lastLine = line;
        say(`${time()} ${name.padEnd(10)} ${line}`);
      });
      child.on('error', (error) => child.pid === undefined && over(error.message));
      child.on('exit', (code, signal) => over(signal ?? `exit ${code}`, code));
    };
    launch();
  });
}

/** Asked for in the page, to be watched. One that is still starting is left alone: nobody would start it again. */
function killWorker() {
  const worker = children.get('worker');
  if (!worker?.ready()) return;
  say(`${time()} launcher   kills the worker, as the page asked`);
  worker.process.kill('SIGKILL');
}

function end(name, ms) {
  const entry = children.get(name);
  if (!entry) return undefined;
  return new Promise((done) => {
    const timer = setTimeout(() => entry.process.kill('SIGKILL'), ms);
    entry.process.once('exit', () => {
      clearTimeout(timer);
      done();
    });
    entry.process.kill('SIGTERM');
  });
}

/** First those that make work, then the worker (its job is finished or given back), then what they stand on. */
async function stop(code, why) {
  if (stopping) return;
  stopping = true;
  if (why) process.stderr.write(`${why}\n`);
  else say('Stopping; a picture being painted is finished or given back …');
  const grace = (Number(process.env.SHUTDOWN_S ?? 25) + 5) * 1000;
  await Promise.all([end('bot', 10_000), end('worker', grace)]);
  await end('playground', 10_000);
  await end('redis', 10_000);
  rmSync(pidFile, { force: true });
  if (!why) say('Stopped. Jobs that were waiting go on at the next start.');
  process.exit(code);
}

// --- 3. A private Redis ------------------------------------------------------------------------------------

const freePort = (wanted) =>
  new Promise((done, reject) => {
    const server = createServer();
    server.once('error', () =>
      wanted === 0 ? reject(new Error('no free port')) : freePort(0).then(done, reject),
    );
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

/** Says one thing to the Redis that has this password. @returns its whole answer, '' where none answers */
const askRedis = (port, password, command) =>
  new Promise((done) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`AUTH ${password}\r\n${command}\r\nQUIT\r\n`),
    );
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      text += bytes;
    });
    socket.on('close', () => done(text));
  });

/** A Redis left by a killed launcher: two on one folder would spoil its log, so the old one saves and ends first. */
async function endOldRedis(config, password) {
  const port = Number(/^port (\d+)$/m.exec(existsSync(config) ? readFileSync(config, 'utf8') : '')?.[1]);
  if (!port || !(await askRedis(port, password, 'PING')).includes('PONG')) return;
  await askRedis(port, password, 'SHUTDOWN');
  const deadline = Date.now() + 20_000;
  while ((await askRedis(port, password, 'PING')) !== '') {
    if (Date.now() > deadline) throw new Error(`an older private Redis on port ${port} does not end`);
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

/** Own port, own folder, AOF, password: queued jobs survive whatever happens to the machine. */
async function startRedis() {
  needRedis();
  const dir = join(home, 'redis');
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const passwordFile = join(dir, 'password');
  if (!existsSync(passwordFile))
    writeFileSync(passwordFile, randomBytes(18).toString('hex'), { mode: 0o600 });
  const password = readFileSync(passwordFile, 'utf8').trim();
  const config = join(dir, 'redis.conf');
  await endOldRedis(config, password);
  const port = await freePort(6390);
  writeFileSync(
    config,
    `bind 127.0.0.1\nport ${port}\ndir ${dir}\nappendonly yes\nappendfsync everysec\nsave ""\nmaxmemory 512mb\nmaxmemory-policy noeviction\nrequirepass ${password}\nloglevel warning\n`,
    { mode: 0o600 },
  );
  run('redis', 'redis-server', [config]);
  const deadline = Date.now() + 20_000;
  while (!(await askRedis(port, password, 'PING')).includes('PONG')) {
    if (Date.now() > deadline) throw new Error('the private Redis did not answer within 20 s');
    await new Promise((wait) => setTimeout(wait, 50));
  }
  return `redis://:${password}@127.0.0.1:${port}`;
}

// --- 4. npm start ------------------------------------------------------------------------------------------

const node = (file) => [
  process.execPath,
  ['--import', import.meta.resolve('tsx'), '--enable-source-maps', join(root, file)],
];

async function start() {
  const began = Date.now();
  if (existsSync(join(root, '.env'))) process.loadEnvFile(join(root, '.env'));
  needPackages();
  mkdirSync(home, { recursive: true });
  endOrphans();
  process.on('SIGINT', () => stop(0));
  process.on('SIGTERM', () => stop(0));
  process.on('SIGHUP', () => stop(0));

  const env = {
    DATA_DIR: process.env.DATA_DIR ?? join(home, 'data'),
    REDIS_URL: process.env.REDIS_URL || (await startRedis()),
  };
  // Two processes, two health ports; the playground's panel reads them.
  const given = process.env.HEALTH_PORT || '0';
  const health = { bot: given, worker: Number(given) > 0 ? Number(given) + 1 : given };
  let page;
  if (!process.env.DISCORD_TOKEN) {
    // Below the ports that connections take, so that none is taken until its process listens.
    if (given === '0')
      for (const name of ['bot', 'worker']) health[name] = await freePort(20_000 + randomInt(12_000));
    const wanted = process.env.PLAYGROUND_PORT ?? String(await freePort(8765));
    // Beyond this machine the usual token would make a bot of whoever reaches the port.
    const beyond = !/^(localhost$|127\.|::1$)/.test(process.env.PLAYGROUND_HOST || '127.0.0.1');
    const token = process.env.PLAYGROUND_TOKEN || (beyond ? randomBytes(24).toString('hex') : 'playground');
    const { url, page: withKey } = await run('playground', ...node('playground/main.ts'), {
      env: {
        PLAYGROUND_PORT: wanted,
        PLAYGROUND_TOKEN: token,
        PLAYGROUND_STATE: process.env.PLAYGROUND_STATE ?? join(home, 'playground'),
        PLAYGROUND_BOT: `http://127.0.0.1:${health.bot}`,
        PLAYGROUND_WORKER: `http://127.0.0.1:${health.worker}`,
        PLAYGROUND_LAUNCHER: '1',
      },
      ready: (event) => (event.ready ? event : undefined),
    });
    page = beyond ? withKey : url;
    Object.assign(env, { DISCORD_TOKEN: token, DISCORD_API: `${url}/api`, DISCORD_CDN: url });
  }
  await Promise.all([
    run('worker', ...node('worker/main.ts'), {
      env: { ...env, HEALTH_PORT: String(health.worker) },
      ready: (event) => (event.msg === 'worker ready' ? true : undefined),
    }),
    run('bot', ...node('bot/main.ts'), {
      env: { ...env, HEALTH_PORT: String(health.bot) },
      ready: (event) => (event.msg === 'bot ready' ? true : undefined),
    }),
  ]);
  running = true;
  const seconds = ((Date.now() - began) / 1000).toFixed(1);
  say(
    page
      ? `\nDreamgrid is ready (${seconds} s). Open ${page} and type /imagine a fox in the snow at night\n`
      : `\nDreamgrid is ready (${seconds} s). Type /imagine in your Discord server.\n`,
  );
}

// --- 5. npm test and friends -------------------------------------------------------------------------------

function tool(name, ...args) {
  const done = spawnSync(process.execPath, [join(root, 'node_modules', ...name.split('/')), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  if (done.status !== 0) process.exit(done.status ?? 1);
}

const vitest = (...args) => tool('vitest/vitest.mjs', 'run', ...args);

function prepareTests() {
  needPackages();
  needRedis();
  wantChromium();
  wantSwift();
}

/** Pure and engine tests: neither Redis nor a browser. */
const QUICK = [
  'house',
  'bot/pure',
  'bot/moderation',
  'shared/picture',
  'shared/prompt',
  'shared/messages',
  'shared/contract',
]
  .concat(['worker/engine', 'worker/paint/grid', 'worker/paint/lanczos', 'worker/models/installed'])
  .map((path) => `test/${path}`);
/** Of those, what paints picture after picture or starts servers: half of the time. */
const SLOW = [
  'shared/picture/{storeContract,bucketAway,copyStore}',
  'worker/engine/{stepLoop,pipelines,unclip/pipelines,onnx/optimised}',
  'worker/engine/adapters/{exports,together,pictures}',
].flatMap((path) => ['--exclude', `test/${path}.test.ts`]);

const [command = 'start', ...rest] = process.argv.slice(2);
needNode();
switch (command) {
  case 'start':
    start().catch((error) => stop(1, error.message));
    break;
  case 'test':
    prepareTests();
    vitest(...rest);
    break;
  case 'quick':
    needPackages();
    vitest(...QUICK, ...SLOW, ...rest);
    break;
  case 'check':
    prepareTests();
    tool('@biomejs/biome/bin/biome', 'ci', '.');
    tool('typescript/bin/tsc', '--noEmit');
    vitest(...rest);
    break;
  case 'bench':
    prepareTests();
    tool('tsx/dist/cli.mjs', 'test/bench/main.ts', ...rest);
    break;
  case 'storm':
    prepareTests();
    tool('tsx/dist/cli.mjs', 'test/storm/main.ts', ...rest);
    break;
  case 'fuzz':
    prepareTests();
    tool('tsx/dist/cli.mjs', 'test/fuzz/main.ts', ...rest);
    break;
  case 'shots':
    prepareTests();
    tool('tsx/dist/cli.mjs', 'test/e2e/shots.ts', ...rest);
    break;
  default:
    fail(
      `Unknown command ${JSON.stringify(command)}; expected start, test, quick, check, bench, storm, fuzz or shots.`,
    );
}
