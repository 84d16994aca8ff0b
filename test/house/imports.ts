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

/**
 * The room that an import enters: behind a door, the room with the outermost one that the importer does not stand in.
 * `door`: whether it goes through one.
 */
function entered(from: string, file: string): { room: string; door: boolean } | undefined {
  const inside = file.split('/').slice(0, -1);
  for (let depth = 1; depth <= inside.length; depth++) {
    const room = inside.slice(0, depth).join('/');
    const doors = DOORS[room];
    if (doors && from !== room && !from.startsWith(`${room}/`))
      return { room, door: doors.includes(relative(room, file)) };
  }
  const room = roomOf(file);
  return room === undefined ? undefined : { room, door: true };
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
        const to = entered(from, target);
        if (to === undefined || !mayImport(from, to.room))
          broken.push(`${file} imports ${target}: ${from} may not import ${to?.room ?? 'that'}`);
        else if (!to.door) broken.push(`${file} imports ${target}: ${to.room} is entered by its door`);
      }
    }
  return broken;
}

if (process.argv[1] === import.meta.filename) {
  const broken = brokenImports(resolve(import.meta.dirname, '../..'));
  for (const line of broken) process.stderr.write(`${line}\n`);
  process.exitCode = broken.length > 0 ? 1 : 0;
}
