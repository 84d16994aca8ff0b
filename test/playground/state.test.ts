import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startPlayground } from '../../playground/index.ts';
import { request, waiting } from './rest.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'playground-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('history, pictures, commands and living tokens survive a restart', async () => {
  const statePath = join(folder, 'state.json');
  const first = await startPlayground({ statePath });
  const form = new FormData();
  form.set('payload_json', JSON.stringify({ content: 'kept' }));
  form.set('files[0]', new Blob(['bytes']), 'a.png');
  const made = await request(first, 'POST', `/channels/${first.channelId}/messages`, form);
  first.react(first.users.member, made.body.id, '❤️');
  const { handle, callback } = await waiting(first);
  await callback({ type: 5 });
  const dm = first.dm(first.users.member);
  await first.close();

  const second = await startPlayground({ statePath });
  expect(second.commands.map((c) => c.name)).toEqual(['imagine']);
  const kept = second.message(made.body.id)!;
  expect(kept).toMatchObject({ content: 'kept', reactions: [{ emoji: '❤️' }] });
  expect(kept.attachments[0]!.data.toString()).toBe('bytes');
  expect((await fetch(kept.attachments[0]!.url)).status).toBe(200);
  expect(second.dm(second.users.member)).toBe(dm);
  const edit = await request(
    second,
    'PATCH',
    `/webhooks/${second.applicationId}/${handle.token}/messages/@original`,
    { content: 'after' },
    false,
  );
  expect(edit.status).toBe(200);
  expect(second.messages().map((m) => m.content)).toEqual(['kept', 'after']);
  await second.close();
  expect((await readdir(folder)).filter((n) => n.endsWith('.tmp'))).toEqual([]);
});

test('a damaged state is set aside, not fatal', async () => {
  const statePath = join(folder, 'state.json');
  await writeFile(statePath, '{"version":1,"mess');
  const pg = await startPlayground({ statePath });
  expect(pg.messages()).toEqual([]);
  await pg.close();
  expect(await readFile(`${statePath}.damaged`, 'utf8')).toContain('mess');
});

test('the program on its own says where it listens and stops with its history saved', async () => {
  const main = fileURLToPath(new URL('../../playground/main.ts', import.meta.url));
  const statePath = join(folder, 'state.json');
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: { ...process.env, PLAYGROUND_PORT: '0', PLAYGROUND_STATE: statePath },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const said = JSON.parse(line) as { ready: boolean; url: string };
  expect(said.ready).toBe(true);
  const channel = '1190000000000000101';
  const answer = await fetch(`${said.url}/api/v10/channels/${channel}/messages`, {
    method: 'POST',
    headers: { authorization: 'Bot playground', 'content-type': 'application/json' },
    body: JSON.stringify({ content: 'before the stop' }),
  });
  expect(answer.status).toBe(200);
  child.kill('SIGTERM');
  expect((await once(child, 'exit'))[0]).toBe(0);
  expect(await readFile(statePath, 'utf8')).toContain('before the stop');
});

test('a wrong port is one line and exit code 1', async () => {
  const main = fileURLToPath(new URL('../../playground/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main], {
    env: { ...process.env, PLAYGROUND_PORT: 'many' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    words += chunk;
  });
  expect((await once(child, 'close'))[0]).toBe(1);
  expect(words.trim()).toBe('playground: PLAYGROUND_PORT must be a port number from 0 to 65535, not "many".');
});
