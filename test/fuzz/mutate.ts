import type { Random } from '../support/random.ts';

/** What programs trip over. */
const STRINGS = [
  '',
  ' ',
  '\0',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '\u202e\u200b\u{e0041}',
  '\ud800',
  'x'.repeat(7_000),
  '🦊'.repeat(200),
  '`'.repeat(50),
  '@everyone',
  '{}',
  '-0',
  'NaN',
  '1e999',
  '--ar 99999:1',
] as const;
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  0.1,
  255,
  256,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e308,
  5e-324,
] as const;

const anyValue = (random: Random): unknown =>
  random.pick([
    null,
    true,
    false,
    [],
    {},
    [[]],
    random.pick(NUMBERS),
    random.pick(NUMBERS),
    random.pick(STRINGS),
    random.pick(STRINGS),
    random.pick(STRINGS),
    random.next() < 0.05 ? nested(random.between(1, 2_000)) : nested(3),
  ]);

/** An object in an object in an object… */
function nested(depth: number): unknown {
  let value: unknown = {};
  for (let i = 0; i < depth; i++) value = { parent: value };
  return value;
}

/** One to three places of a JSON value changed: replaced, removed, doubled, renamed or added. */
export function mutateJson<T>(value: T, random: Random): unknown {
  let copy: unknown = structuredClone(value);
  for (let i = random.between(1, 3); i > 0; i--) {
    const places = placesOf(copy);
    if (places.length === 0) return anyValue(random);
    const { parent, key } = random.pick(places);
    const kind = random.weighted({ replace: 6, tweak: 4, remove: 2, add: 2, rename: 1, whole: 0.2 });
    if (kind === 'whole') copy = anyValue(random);
    else if (kind === 'remove') delete parent[key];
    else if (kind === 'add') {
      // As JSON.parse does it: a key of its own, also where it is called `__proto__`.
      const named = { value: anyValue(random), enumerable: true, configurable: true, writable: true };
      if (!Array.isArray(parent))
        Object.defineProperty(parent, random.pick(STRINGS.slice(0, 6)) || 'more', named);
    } else if (kind === 'rename' && !Array.isArray(parent)) {
      parent[`${key}x`] = parent[key];
      delete parent[key];
    } else parent[key] = kind === 'tweak' ? tweak(parent[key], random) : anyValue(random);
  }
  return copy;
}

type Node = Record<string, unknown>;

function placesOf(value: unknown, found: { parent: Node; key: string }[] = [], depth = 0) {
  if (typeof value !== 'object' || value === null || depth > 20) return found;
  for (const key of Object.keys(value)) {
    found.push({ parent: value as Node, key });
    placesOf((value as Node)[key], found, depth + 1);
  }
  return found;
}

/** Nearly the same: what passes a check is more interesting than what does not. */
function tweak(value: unknown, random: Random): unknown {
  if (typeof value === 'number')
    return random.pick([value + 1, -value, value / 3, value * 1_000, Math.floor(value)]);
  if (typeof value === 'boolean') return !value;
  if (Array.isArray(value))
    return random.pick([[...value, ...value], [...value].slice(1), [...value].reverse()]);
  if (typeof value !== 'string') return anyValue(random);
  return mutateText(value, random);
}

export function mutateText(text: string, random: Random): string {
  const at = random.between(0, text.length);
  const to = random.between(at, Math.min(text.length, at + 4));
  const inserted = random.pick([
    ...STRINGS,
    '|',
    '0',
    '9',
    'f',
    '\n',
    'v',
    String.fromCharCode(random.between(0, 0xffff)),
  ]);
  return text.slice(0, at) + inserted + text.slice(random.next() < 0.5 ? at : to);
}

/** Bytes flipped, cut out, doubled or overwritten. */
export function mutateBytes(bytes: Buffer, random: Random): Buffer {
  let out: Buffer = Buffer.from(bytes);
  for (let i = random.between(1, 6); i > 0 && out.length > 0; i--) {
    const at = random.between(0, out.length - 1);
    const length = random.between(1, Math.min(64, out.length - at));
    switch (random.weighted({ flip: 5, set: 3, cut: 2, double: 2, end: 1 })) {
      case 'flip':
        out[at] = (out[at] as number) ^ (1 << random.between(0, 7));
        break;
      case 'set':
        out.fill(random.pick([0, 0x7f, 0x80, 0xff]), at, at + length);
        break;
      case 'cut':
        out = Buffer.concat([out.subarray(0, at), out.subarray(at + length)]);
        break;
      case 'double':
        out = Buffer.concat([out.subarray(0, at + length), out.subarray(at)]);
        break;
      case 'end':
        out = out.subarray(0, at);
    }
  }
  return out;
}
