import {
  type ChatInputCommandInteraction,
  Locale,
  type RESTPostAPIChatInputApplicationCommandsJSONBody,
} from 'discord.js';
import { languageOf, languages, type MessageKey, say } from '../../shared/messages/index.ts';
import type { Answer, AnswerKind } from '../answer.ts';
import type { App, Asker } from '../app.ts';

export interface Call {
  app: App;
  asker: Asker;
  answer: Answer;
  interaction: ChatInputCommandInteraction;
}

/** One slash command: how Discord lists it, and what it does. */
export interface Command {
  definition: RESTPostAPIChatInputApplicationCommandsJSONBody;
  kind: AnswerKind;
  run(call: Call): Promise<void>;
}

type Named = { [K in MessageKey]: K extends `command.${infer Path}.name` ? Path : never }[MessageKey];

/** Name and description of a command or an option, in every language we have. */
export function named(path: Named): {
  name: string;
  name_localizations: Partial<Record<Locale, string>>;
  description: string;
  description_localizations: Partial<Record<Locale, string>>;
} {
  const texts = (part: 'name' | 'description'): Partial<Record<Locale, string>> =>
    Object.fromEntries(
      Object.values(Locale)
        .filter((locale) => languageOf(locale) !== 'en' && languageOf(locale) in languages)
        .map((locale) => [locale, say(locale, `command.${path}.${part}`)]),
    );
  return {
    name: say('en-US', `command.${path}.name`),
    name_localizations: texts('name'),
    description: say('en-US', `command.${path}.description`),
    description_localizations: texts('description'),
  };
}

/** In servers and in direct messages with the bot. */
export const EVERYWHERE = { contexts: [0, 1], integration_types: [0] };
