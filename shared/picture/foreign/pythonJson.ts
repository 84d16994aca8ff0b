/**
 * JSON as Python's json module writes it: NaN, Infinity and -Infinity stand outside of strings, and whole numbers
 * have any length. A whole number that a double cannot hold comes back as a bigint.
 *
 * `worker/engine` imports nothing of ours and keeps its own few lines for model configs; one table of cases runs
 * through both readers (test/shared/picture/pythonJson.test.ts), so that they cannot drift apart.
 *
 * @throws SyntaxError where the text is no JSON
 */
export function parsePythonJson(text: string): unknown {
  const marked = text
    .replace(/^\ufeff/, '')
    .replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (match) => {
      if (match.startsWith('"')) return match;
      return /[IN]/.test(match) || isLong(match) ? `"${MARK}${match}"` : match;
    });
  return JSON.parse(marked, (_key, value) =>
    typeof value === 'string' && value.startsWith('\0') ? read(value.slice(1)) : value,
  );
}

/** Marks a string that stands for a number; no text of a picture begins with a zero character. */
const MARK = '\\u0000';

const isLong = (digits: string): boolean => /^-?\d{16,}$/.test(digits);
const read = (text: string): unknown => {
  if (!isLong(text)) return /^-?Infinity$|^NaN$/.test(text) ? Number(text) : `\0${text}`;
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
};
