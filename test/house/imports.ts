import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { DOORS, ROOMS } from './rooms.ts';

const HOUSES = ['bot', 'worker', 'shared', 'playground'];

/** `worker/engine/text/prompt.ts` → `worker/engine/text`: the innermost room of the table that holds a file. */
export function roomOf(file: string): string | undefined {
  for (let room = dirname(file); room !== '.'; room = dirname(room))
    if (Object.hasOwn(ROOMS, room)) return room;
  return undefined;
}

const mayImport = (from: string, to: string): boolean =>
  from === to || (ROOMS[from] ?? []).some((edge) => edge === to || edge === `${dirname(to)}/*`);

/** Another room's file is reached through each door on the way: out of `worker/cli`, the engine's and its schedulers'. */
function closedDoor(from: string, file: string): string | undefined {
  for (let room = dirname(file); room !== '.'; room = dirname(room)) {
    if (from === room || from.startsWith(`${room}/`)) return undefined;
    const doors = DOORS[room];
    if (doors && !doors.includes(relative(room, file))) return room;
  }
  return undefined;
}

/** Every import that no edge of the table allows, and every one that goes round a door. */
export function brokenImports(root: string): string[] {
  const broken: string[] = [];
  for (const house of HOUSES)
    for (const entry of readdirSync(join(root, house), { recursive: true, encoding: 'utf8' })) {
      if (!entry.endsWith('.ts')) continue;
      const file = join(house, entry).split(sep).join('/');
      const from = roomOf(file);
      if (from === undefined) {
        broken.push(`${file} is in no room of test/house/rooms.ts`);
        continue;
      }
      const text = readFileSync(join(root, file), 'utf8');
      for (const [, spec] of text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g)) {
        const target = relative(root, resolve(root, dirname(file), spec as string))
          .split(sep)
          .join('/');
        const to = roomOf(target);
        if (to === undefined || !mayImport(from, to))
          broken.push(`${file} imports ${target}: ${from} may not import ${to ?? 'that'}`);
        else if (from !== to && closedDoor(from, target))
          broken.push(`${file} imports ${target}: ${closedDoor(from, target)} is entered by its door`);
      }
    }
  return broken;
}

if (process.argv[1] === import.meta.filename) {
  const broken = brokenImports(resolve(import.meta.dirname, '../..'));
  for (const line of broken) process.stderr.write(`${line}\n`);
  process.exitCode = broken.length > 0 ? 1 : 0;
}
