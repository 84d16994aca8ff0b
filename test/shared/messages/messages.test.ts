import { Locale } from 'discord-api-types/v10';
import { describe, expect, it } from 'vitest';
import {
  languageOf,
  languages,
  type Message,
  type MessageKey,
  say,
  sayDuration,
  sayError,
} from '../../../shared/messages/index.ts';

const forms = (message: Message): string[] =>
  typeof message === 'string' ? [message] : Object.values(message);
const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] as string).sort();

describe('the tables', () => {
  const tables = Object.entries(languages) as [string, Record<string, Message>][];

  it.each(tables)('%s has every key of English, non-empty, with the same holes', (_, table) => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(languages.en).sort());
    for (const [key, message] of Object.entries(table)) {
      const english = holes(forms(languages.en[key as MessageKey]).at(-1) as string);
      for (const text of forms(message)) {
        expect(text.trim(), key).not.toBe('');
        expect(holes(text), key).toEqual(english);
        expect(text, key).toBe(text.normalize('NFC'));
      }
    }
  });

  it.each(tables)('%s has every plural form its grammar needs', (language, table) => {
    const needed = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const [key, message] of Object.entries(table)) {
      if (typeof message !== 'string')
        expect(Object.keys(message), key).toEqual(expect.arrayContaining(needed));
    }
  });

  it.each(tables)('%s keeps to Discord’s limits', (_, table) => {
    for (const [key, message] of Object.entries(table)) {
      const text = forms(message)[0] as string;
      if (/^command\..*name$/.test(key)) {
        expect(text, key).toMatch(/^[-_'\p{L}\p{N}]{1,32}$/u);
        expect(text, key).toBe(text.toLowerCase());
      }
      if (/^command\..*description$/.test(key)) expect(text.length, key).toBeLessThanOrEqual(100);
      if (key.startsWith('button.')) expect(text.length, key).toBeLessThanOrEqual(80);
      if (key === 'fix.title' || key === 'fix.label') expect(text.length, key).toBeLessThanOrEqual(45);
    }
  });

  it('every error has a title and a text', () => {
    for (const key of Object.keys(languages.en)) {
      const code = /^error\.(.+)\.title$/.exec(key)?.[1];
      if (code) expect(languages.en).toHaveProperty([`error.${code}.text`]);
    }
  });

  it('takes every locale Discord has', () => {
    for (const locale of Object.values(Locale)) expect(Object.keys(languages)).toContain(languageOf(locale));
    expect(languageOf('vi')).toBe('vi');
    expect(languageOf('constructor')).toBe('en');
  });
});

describe('say', () => {
  it('fills holes, chooses plurals, prints numbers as the language does', () => {
    expect(say('en-GB', 'line.ahead', { n: 1 })).toBe('1 job ahead of you');
    expect(say('en-US', 'line.ahead', { n: 12 })).toBe('12 jobs ahead of you');
    expect(say('vi', 'line.ahead', { n: 1 })).toBe('còn 1 lượt trước bạn');
    expect(say('vi', 'error.image-bytes.text', { max: 2.5 })).toContain('2,5 MB');
  });

  it('does not fill holes inside what it fills in', () => {
    expect(say('en-US', 'error.prompt.text', { lines: '{lines} {0}' })).toBe('{lines} {0}');
  });

  it('rounds a wait to what it can promise', () => {
    expect(sayDuration('en-US', 300)).toBe('1 sec');
    expect(sayDuration('en-US', 43_000)).toBe('45 sec');
    expect(sayDuration('en-US', 600_000)).toBe('10 min');
    expect(sayDuration('en-US', 4_200_000)).toBe('1 hr 10 min');
    expect(sayDuration('en-US', 2 * 3600_000 - 1)).toBe('2 hr');
    expect(sayDuration('vi', 43_000)).toBe('45 giây');
  });

  it('has words for a code it does not know', () => {
    expect(sayError('en-US', 'never-heard', {}, 'failed').title).toBe('Painting failed');
    expect(sayError('en-US', 'too-large', {}, 'failed').title).toBe('Too large for this GPU');
  });
});
