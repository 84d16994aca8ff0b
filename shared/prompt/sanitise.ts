import { type Mapped, replace, trim } from './mappedText.ts';

/** Longest prompt, in UTF-16 units, after cleaning and again after options were expanded. */
export const MAX_LENGTH = 6000;

/**
 * Longest input that is cleaned, UTF-16 units. Invisible characters do not count, so it is above MAX_LENGTH; a
 * longer input is refused unread.
 */
export const MAX_INPUT = 4 * MAX_LENGTH;

/** Most combining marks that one letter keeps; living scripts stack far fewer. */
const MAX_MARKS = 16;

const JOINING =
  '\\p{scx=Arab}\\p{scx=Syrc}\\p{scx=Mong}\\p{scx=Deva}\\p{scx=Beng}\\p{scx=Guru}\\p{scx=Gujr}\\p{scx=Orya}' +
  '\\p{scx=Taml}\\p{scx=Telu}\\p{scx=Knda}\\p{scx=Mlym}\\p{scx=Sinh}\\p{scx=Khmr}\\p{scx=Mymr}';
const SELECTORS = '\\ufe00-\\ufe0f\\u180b-\\u180d\\u180f';

/** Invisible characters: controls, bidi overrides, zero widths, tags, fillers, lone surrogates. */
const INVISIBLE = new RegExp(
  `(?![\\t\\n\\v\\f\\r\\x85\\u200c\\u200d${SELECTORS}])[\\p{Cc}\\p{Cf}\\p{Cs}\\p{DI}\\p{NChar}]+`,
  'gu',
);
/** Joiners outside emoji and joining scripts, selectors with nothing to select from. */
const STRAY_JOINER = new RegExp(
  `(?<![\\p{ExtPict}\\p{EMod}\\ufe0f])\\u200d(?<![${JOINING}]\\u200d(?=[${JOINING}]))` +
    `|\\u200d(?!\\p{ExtPict})(?<![${JOINING}]\\u200d(?=[${JOINING}]))` +
    `|\\u200c(?<![${JOINING}]\\u200c(?=[${JOINING}]))`,
  'gu',
);
const STRAY_SELECTOR = new RegExp(`(?<=^|[\\s\\u200c\\u200d${SELECTORS}])[${SELECTORS}]+`, 'gu');
/** A letter with its marks: NFC never works across two of these (conjoining jamo count as marks). */
const CLUSTER = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

const compose = (cluster: string): string => {
  if (cluster.length === 1 && cluster < '\u0300') return cluster;
  const capped = Array.from(cluster.slice(0, 4 * MAX_MARKS)).slice(0, 2 * MAX_MARKS);
  return Array.from(capped.join('').normalize('NFC'))
    .slice(0, MAX_MARKS + 1)
    .join('');
};

/** Dashes at the start of a word: phones turn `--` into them. A single hyphen stays. */
const DASHES = /(?<=^|[\s{},])[-‐‑‒–—―−﹘﹣－ー-]+(?=\p{L})/gu;
const HYPHENS = /^[-‐‑−﹣－ー]$/u;
/** Full-width names, numbers and weights of East Asian keyboards: `－－ａｒ　１６：９`, `：：２`. */
const WIDE_PARAMETER = /(?<=--)[Ａ-Ｚａ-ｚ]+|(?<=--[a-z]+[ =])[＋-９Ａ-Ｚａ-ｚ\d:.]+|(?<=::)[－．０-９]+/giu;
const narrow = (wide: string): string =>
  wide.replace(/[！-～]/g, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
/** Midjourney's command, pasted along with its prompt. */
const PASTED = /^\/imagine(?: prompt(?: ?[:：]|(?= )))? ?/giu;

/**
 * One clean line: nothing invisible, letters composed (NFC), one space between words, `--` and quotes as the
 * keyboard of a computer makes them. Cleaning twice changes nothing.
 */
export const sanitise = (input: Mapped): Mapped => {
  let m = replace(input, INVISIBLE, () => '');
  m = replace(m, STRAY_JOINER, () => '');
  m = replace(m, STRAY_SELECTOR, () => '');
  if (/[^\0-\x7f]/.test(m.text)) m = replace(m, CLUSTER, compose);
  m = replace(m, /[\t\n\v\f\r\x85\u2028\u2029\p{Zs}]+/gu, () => ' ');
  m = replace(m, /[“”„‟″"]/gu, () => '"');
  m = replace(m, /[‘’‚‛′]/gu, () => "'");
  m = replace(m, /[:：︓﹕]{2,}|(?<=[\d０-９])[：︓﹕](?=[\d０-９])/gu, (colons) =>
    ':'.repeat(colons.length),
  );
  m = replace(m, /[｛｝]/gu, narrow);
  m = replace(m, DASHES, (dashes) => (HYPHENS.test(dashes) ? dashes : '--'));
  m = replace(m, WIDE_PARAMETER, narrow);
  m = replace(trim(m), PASTED, () => '');
  return trim(m);
};
