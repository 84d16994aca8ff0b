import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecipe } from '../../../shared/picture/png.ts';
import { type Recorder, startRecorder } from '../../support/recorder.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { type ModelsFolder, makeModels } from '../../support/tinyModel.ts';

const root = resolve(import.meta.dirname, '../../..');
let folder: ModelsFolder;
let dir: string;

beforeAll(async () => {
  folder = await makeModels();
  dir = await mkdtemp(join(tmpdir(), 'dreamgrid-cli-'));
});
afterAll(async () => {
  await folder.remove();
  await rm(dir, { recursive: true, force: true });
});

interface Done {
  code: number;
  out: string;
  err: string;
}

/** As a person runs it; `npm` where the way through npm matters. */
const run = (args: string[], env: Record<string, string> = {}, npm = false): Promise<Done> =>
  new Promise((done) => {
    const [command, ...rest] = npm
      ? ['npm', 'run', '-s', 'dreamgrid', '--', ...args]
      : [process.execPath, join(root, 'worker/cli/bin.mjs'), ...args];
    const settings = { MODELS_DIR: folder.root, DEFAULT_MODEL: 'tiny', DATA_DIR: join(dir, 'data'), ...env };
    execFile(
      command as string,
      rest,
      { cwd: npm ? root : dir, env: { PATH: process.env.PATH ?? '', HOME: dir, ...settings } },
      (error, out, err) => done({ code: error ? Number(error.code ?? 1) : 0, out, err }),
    );
  });

describe('dreamgrid imagine', () => {
  it('paints a prompt with parameters into a file, the same bytes each time', async () => {
    const args = ['imagine', 'a "fox" in the snow --seed 7 --ar 3:2', '--json', '--out'];
    const first = await run([...args, 'a.png']);
    expect(first).toMatchObject({ code: 0, err: '' });
    const facts = JSON.parse(first.out);
    expect(facts).toMatchObject({ out: join(dir, 'a.png'), width: 192, height: 128, seed: 7 });
    const bytes = await readFile(join(dir, 'a.png'));
    expect(readRecipe(bytes)).toEqual(facts.recipe);
    expect(facts.recipe.prompt).toBe('a "fox" in the snow --ar 3:2 --seed 7');
    expect((await sharp(bytes).metadata()).width).toBe(192);
    await run([...args, 'b.png']);
    expect((await readFile(join(dir, 'b.png'))).equals(bytes)).toBe(true);
  });

  it('paints all that braces ask for, with chaos, from a picture', async () => {
    await writeFile(
      join(dir, 'start.png'),
      await sharp({ create: { width: 50, height: 90, channels: 3, background: '#48c' } })
        .png()
        .toBuffer(),
    );
    const done = await run([
      'imagine',
      'a {red, blue} fox --chaos 50 --seed 1',
      '--image',
      'start.png',
      '--out',
      'c.png',
      '--json',
    ]);
    expect(done.code, done.err).toBe(0);
    const [red, blue] = done.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(red.recipe).toMatchObject({ prompt: 'a red fox --chaos 50 --seed 1', chaos: 0.5 });
    expect(red.recipe.image.strength).toBeGreaterThan(0);
    expect(blue.out).toBe(join(dir, 'c-2.png'));
    expect((await readFile(red.out)).equals(await readFile(blue.out))).toBe(false);
  });

  it('keeps quotes and empty words on the way through npm', async () => {
    const out = join(dir, 'npm.png');
    const done = await run(
      ['imagine', `it's a "fox" $HOME \`x\` --seed 3`, '--out', out, '--json'],
      {},
      true,
    );
    expect(done.code, done.err).toBe(0);
    expect(JSON.parse(done.out).recipe.prompt).toBe('it\'s a "fox" $HOME `x` --seed 3');
    const empty = await run(['imagine', ''], {}, true);
    expect(empty.code).toBe(2);
    expect(empty.err).toContain('There is nothing to paint.');
  });

  it.each([
    [['imagine'], 2, /The prompt is missing/],
    [['imagine', 'a', 'fox'], 2, /One prompt in quotes/],
    [['imagine', 'a fox', '--nope'], 2, /Unknown option '--nope'/],
    [['imagine', 'a fox --stilize 5'], 2, /Did you mean `--stylize`/],
    [['imagine', 'a fox --stylize 5000'], 2, /between 0 and 1000/],
    [['imagine', 'a fox', '--out', '/nowhere/x.png'], 2, /not a folder that can be written/],
    [['imagine', 'a fox', '--image', 'nothing.png'], 2, /Cannot read .*nothing\.png \(ENOENT\)/],
    [['imagine', 'a fox', '--model', 'gone'], 1, /There is no model "gone".*there are: tiny/],
  ])('%j: exit code %i and a line that helps', async (args, code, says) => {
    const done = await run(args);
    expect(done.code).toBe(code);
    expect(done.out).toBe('');
    expect(done.err).toMatch(says);
    expect(done.err).not.toMatch(/\n\s+at /);
  });
});

describe('the other commands', () => {
  it('help, and an unknown command', async () => {
    expect((await run(['help'])).out).toMatch(/imagine[\s\S]*render[\s\S]*models[\s\S]*doctor/);
    expect((await run([])).code).toBe(0);
    const unknown = await run(['paint']);
    expect(unknown.code).toBe(2);
    expect(unknown.err.trim().split('\n')).toHaveLength(1);
    expect(await run(['constructor'])).toMatchObject({ code: 2 });
  });

  it('render is there', async () => {
    expect((await run(['render'])).code).toBe(2);
  });

  it('a wrong setting is one line', async () => {
    const done = await run(['doctor'], { THREADS: 'many' });
    expect(done).toMatchObject({ code: 1, out: '' });
    expect(done.err).toMatch(/^Wrong setting: THREADS: expected .*\n$/);
  });
});

describe('dreamgrid doctor', () => {
  let redis: TestRedis;
  let recorder: Recorder;
  beforeAll(async () => {
    [redis, recorder] = await Promise.all([startRedis(), startRecorder()]);
    recorder.answer = ({ authorization }) =>
      authorization === 'Bot right'
        ? { status: 200, body: { username: 'dreamer' } }
        : { status: 401, body: {} };
  });
  afterAll(() => Promise.all([redis.close(), recorder.close()]));

  it('finds all well', async () => {
    const env = { REDIS_URL: redis.url, DISCORD_API: recorder.api, DISCORD_TOKEN: 'right' };
    const done = await run(['doctor'], env);
    expect(done.out).toMatch(/^ok {4}node/m);
    expect(done.out).toMatch(/^ok {4}redis .* at 127\.0\.0\.1/m);
    expect(done.out).toMatch(/^ok {4}models {4}tiny \(default\)/m);
    expect(done.out).toMatch(/^ok {4}engine {4}cpu: tiny loads/m);
    expect(done.out).toMatch(/^ok {4}discord .*dreamer/m);
    expect(done.out).toMatch(/^ok {4}store/m);
    expect(done.code).toBe(0);
  });

  it('takes no Redis for no fault where none was named: npm start brings its own', async () => {
    const done = await run(['doctor'], { REDIS_URL: '' });
    expect(done.out).toMatch(/^(skip {2}redis .*npm start|ok {4}redis)/m);
    expect(done.code).toBe(0);
  });

  it('says what is wrong, all of it, without giving the token away', async () => {
    const env = {
      REDIS_URL: 'redis://:canary@127.0.0.1:1',
      DISCORD_API: recorder.api,
      DISCORD_TOKEN: 'canary',
      PROVIDERS: 'nonesuch',
      DATA_DIR: '/dev/null/data',
    };
    const done = await run(['doctor', '--json'], env);
    expect(done.code).toBe(1);
    const failed = JSON.parse(done.out).filter(({ verdict }: { verdict: string }) => verdict === 'fail');
    expect(failed.map(({ check }: { check: string }) => check)).toEqual([
      'redis',
      'engine',
      'discord',
      'store',
    ]);
    expect(done.out + done.err).not.toContain('canary');
  });
});
