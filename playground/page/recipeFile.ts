import type { Json } from './types.ts';

/** The recipe in a picture's file: a PNG text chunk `dreamgrid`, or WebP's XMP. Undefined where there is none. */
export function recipeIn(bytes: Uint8Array): Json | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const latin = (from: number, to: number): string =>
    new TextDecoder('latin1').decode(bytes.subarray(from, to));
  try {
    if (bytes[0] === 0x89 && latin(1, 4) === 'PNG') {
      for (let at = 8; at + 12 <= bytes.length; ) {
        const end = at + 12 + view.getUint32(at);
        if (latin(at + 4, at + 8) === 'tEXt') {
          const text = latin(at + 8, end - 4);
          if (text.startsWith('dreamgrid\0')) return JSON.parse(text.slice(10)) as Json;
        }
        at = end;
      }
    }
    if (latin(0, 4) === 'RIFF') {
      const found = /<dreamgrid:recipe>([A-Za-z0-9+/=]*)</.exec(latin(0, bytes.length));
      if (found) return JSON.parse(atob(found[1]!)) as Json;
    }
  } catch {
    // A damaged file has no recipe.
  }
  return undefined;
}
