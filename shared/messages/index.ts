import { en } from './en.ts';
import type { Message } from './message.ts';
import { vi } from './vi.ts';

export type { Message } from './message.ts';
/** English has every key; another language that lacks one does not compile. */
export type MessageKey = keyof typeof en;
export type MessageParams = Readonly<Record<string, string | number>>;

/** Adding a language is one file and one line here. Keys are prefixes of Discord's locales. */
export const languages = { en, vi } satisfies Record<string, Record<MessageKey, Message>>;
export type Language = keyof typeof languages;

/** Discord's locale (`en-US`, `vi`, …) to a language we have; English where we have none. */
export function languageOf(locale: string): Language {
  const short = locale.toLowerCase().split('-')[0] as string;
  return Object.hasOwn(languages, short) ? (short as Language) : 'en';
}

/** The message's text. Numbers are printed as the language does; strings are not escaped. */
export function say(locale: string, key: MessageKey, params: MessageParams = {}): string {
  const language = languageOf(locale);
  const message: Message = (languages[language] as Record<MessageKey, Message>)[key];
  const text =
    typeof message === 'string' ? message : pluralForm(language, message, Number(params['n'] ?? 0));
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? formatNumber(language, value) : value;
  });
}

const pluralForm = (language: Language, forms: Exclude<Message, string>, n: number): string =>
  forms[new Intl.PluralRules(language).select(n)] ?? forms.other;

/** Thousands are not grouped, so that a seed or a size can be copied. */
const formatNumber = (language: Language, value: number): string =>
  new Intl.NumberFormat(language, { useGrouping: false, maximumFractionDigits: 2 }).format(value);

/** "8 sec", "3 min", "1 hr 10 min": milliseconds rounded coarsely, since waits are estimates. */
export function sayDuration(locale: string, ms: number): string {
  const unit = (value: number, name: 'second' | 'minute' | 'hour'): string =>
    new Intl.NumberFormat(languageOf(locale), { style: 'unit', unit: name, unitDisplay: 'short' }).format(
      value,
    );
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 20) return unit(seconds, 'second');
  if (seconds < 100) return unit(Math.round(seconds / 5) * 5, 'second');
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return unit(minutes, 'minute');
  const rest = Math.round((minutes % 60) / 10) * 10;
  const hours = Math.floor(minutes / 60) + (rest === 60 ? 1 : 0);
  return rest % 60 === 0 ? unit(hours, 'hour') : `${unit(hours, 'hour')} ${unit(rest, 'minute')}`;
}

/** `instead` of an unsupported parameter travels as the name of a message `instead.*`; here it becomes its words. */
export function withInstead(locale: string, params: MessageParams): MessageParams {
  const key = `instead.${params['instead']}`;
  return Object.hasOwn(en, key) ? { ...params, instead: say(locale, key as MessageKey) } : params;
}

/** Title and text of an error; a code that has no words of its own gets those of `otherwise`. */
export function sayError(
  locale: string,
  code: string,
  params: MessageParams,
  otherwise: 'broke' | 'failed',
): { title: string; text: string } {
  // A worker whose model differs can also fail with a prompt problem's code.
  if (Object.hasOwn(en, `problem.${code}`))
    return {
      title: say(locale, 'error.prompt.title'),
      text: say(locale, `problem.${code}` as MessageKey, withInstead(locale, params)),
    };
  const known = Object.hasOwn(en, `error.${code}.title`) ? code : otherwise;
  return {
    title: say(locale, `error.${known}.title` as MessageKey, params),
    text: say(locale, `error.${known}.text` as MessageKey, params),
  };
}
