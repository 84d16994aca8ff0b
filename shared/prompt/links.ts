import { type Mapped, slice, spanOf, trim, type Word, wordsOf } from './mappedText.ts';
import type { Finding } from './problems.ts';

const LINK = /^<?https?:\/\//i;
const MAX_LINK = 2048;

/** Punctuation behind a link that is no part of it. */
const END = /[,，.。;；!！>»”'"]+$/;
const bareLink = (word: string): string => {
  const open = word.replace(/^<(?=https?:)/i, '').replace(END, '');
  // A closing bracket without an opening one in the link is no part of it.
  return /[)\]]$/.test(open) && !/[([]/.test(open) ? open.replace(/[)\]]+$/, '') : open;
};

/** The link in a word, without the `<>` that keeps Discord from showing it and the signs behind it; undefined where it is unusable. */
export const linkOf = (word: string): string | undefined => {
  const bare = bareLink(word);
  if (bare.length > MAX_LINK || !/^https:\/\//i.test(bare) || /[<>"`\\]|::/.test(bare)) return undefined;
  if (!URL.canParse(bare)) return undefined;
  const url = new URL(bare);
  return url.username === '' && url.password === '' && url.hostname.includes('.') ? bare : undefined;
};

/** The finding for an unusable link; its edit mends the link or removes it. */
export const badLink = (m: Mapped, word: Word): Finding => {
  const span = spanOf(m, word.start, word.end);
  const mended = bareLink(word.text)
    .replace(/::.*$/g, '')
    .replace(/^http:/i, 'https:');
  const usable = linkOf(mended) === undefined ? undefined : mended;
  return {
    code: 'bad-link',
    ...span,
    params: { link: word.text.slice(0, 100) },
    ...(usable === undefined ? {} : { suggestion: usable }),
    edits: [{ ...span, text: usable ?? '' }],
  };
};

/** Takes the links in front of the words. Links further on are a problem that can be mended by moving them. */
export const takeLinks = (body: Mapped): { images: string[]; words: Mapped; findings: Finding[] } => {
  const findings: Finding[] = [];
  const images: string[] = [];
  const words = wordsOf(body);
  const isLink = (word: Word) => LINK.test(word.text);
  const firstText = words.findIndex((word) => !isLink(word));
  const front = firstText < 0 ? words : words.slice(0, firstText);
  for (const word of front) {
    const link = linkOf(word.text);
    if (link === undefined) findings.push(badLink(body, word));
    else images.push(link);
  }
  const from = words[front.length]?.start ?? body.text.length;
  const head = spanOf(body, 0, 0).start;
  for (const word of words.slice(front.length).filter(isLink)) {
    const span = spanOf(body, word.start, word.end);
    findings.push({
      code: 'misplaced-link',
      ...span,
      params: { link: word.text.slice(0, 100) },
      edits: [
        { ...span, text: '' },
        { start: head, end: head, text: `${linkOf(word.text) ?? word.text} ` },
      ],
    });
  }
  return { images, words: trim(slice(body, from)), findings };
};
