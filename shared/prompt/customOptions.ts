import { concat, type Mapped, mapped, placed, slice } from './mappedText.ts';
import { MAX_INPUT, sanitise } from './sanitise.ts';

/**
 * Replaces a member's own options (`--mine`) by their values, once: an option inside an option's value is not
 * looked up again, so none can call itself. The value keeps the place of the option's name in the input.
 */
export const expandOptions = (m: Mapped, options: ReadonlyMap<string, string> | undefined): Mapped => {
  if (options === undefined || options.size === 0) return m;
  const parts: Mapped[] = [];
  let done = 0;
  let length = 0;
  for (const match of m.text.matchAll(/(?<=^|[\s{,])--([\p{L}\p{N}_-]+)(?=$|[\s},])/gu)) {
    const value = options.get(match[1]!.toLowerCase());
    if (value === undefined) continue;
    const end = match.index + match[0].length;
    const text = sanitise(mapped(value.slice(0, MAX_INPUT))).text;
    length += text.length;
    if (length > MAX_INPUT) break;
    parts.push(slice(m, done, match.index), placed(text, m.from[match.index]!, m.to[end - 1]!));
    done = end;
  }
  return parts.length === 0 ? m : concat([...parts, slice(m, done)]);
};

/** The suffix of a member's settings: its parameters go behind the typed prompt; its words are left out. */
export const suffixOf = (
  suffix: string | undefined,
  options: ReadonlyMap<string, string> | undefined,
): string => {
  if (suffix === undefined) return '';
  const clean = expandOptions(sanitise(mapped(suffix.slice(0, MAX_INPUT))), options).text;
  const at = /(?<=^|\s)--(?=\p{L})/u.exec(clean)?.index;
  return at === undefined ? '' : clean.slice(at);
};
