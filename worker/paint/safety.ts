import sharp from 'sharp';
import { SAFETIES, type Safety } from '../../shared/queue/job.ts';
import { PermanentError } from '../../shared/service/errors.ts';
import { hasChecker, type InstalledModel } from '../models/installed.ts';
import type { Engine } from '../process/enginePool.ts';
import type { Pixels } from './pixels.ts';

/** What is done with a picture that the safety checker flags: set by the operator, more strictly by a server. */
export type SafetySwitch = Safety | 'off';

/** The colour of a blocked picture, of which only the place in the grid stays: Discord's own dark grey. */
const PLATE = Uint8Array.of(0x2b, 0x2d, 0x31);
/** Blur of a sixth of the shorter side: shapes cannot be recognised. */
const BLUR = 1 / 6;

/** The operator's `off` wins, because no checker is loaded; else the stricter of the two. */
export function strictest(operator: SafetySwitch, server: Safety | undefined): SafetySwitch {
  if (operator === 'off' || server === undefined) return operator;
  return SAFETIES.indexOf(server) > SAFETIES.indexOf(operator) ? server : operator;
}

/** The pictures, flagged ones blurred or blocked. @throws PermanentError('unsafe') where none may be shown */
export async function guard(
  engine: Engine,
  model: InstalledModel,
  pictures: readonly Pixels[],
  safety: SafetySwitch = 'off',
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<{ pictures: Pixels[]; flagged?: number[] }> {
  if (safety === 'off' || !hasChecker(model)) return { pictures: [...pictures] };
  const flagged: number[] = [];
  for (const [i, picture] of pictures.entries())
    if (await engine.check(model, picture, { signal })) flagged.push(i);
  if (safety === 'block' && flagged.length === pictures.length) throw new PermanentError('unsafe');
  const shown = pictures.map((picture, i) => (flagged.includes(i) ? treat(picture, safety) : picture));
  return { pictures: await Promise.all(shown), flagged };
}

async function treat(picture: Pixels, safety: Safety): Promise<Pixels> {
  const { width, height, data } = picture;
  if (safety === 'spoiler') return picture;
  // Filled, not mapped: calling a function for each byte of a large picture would hold up the worker's event loop.
  if (safety === 'block') return { width, height, data: new Uint8Array(Buffer.alloc(data.length, PLATE)) };
  const blurred = await sharp(data, { raw: { width, height, channels: 3 } })
    .blur(Math.max(2, Math.min(width, height) * BLUR))
    .raw()
    .toBuffer();
  return { width, height, data: blurred };
}
