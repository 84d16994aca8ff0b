import {
  type ApplicationCommandOptionChoiceData,
  ApplicationCommandType,
  type AutocompleteInteraction,
  type ChatInputCommandInteraction,
  Locale,
  type MessageContextMenuCommandInteraction,
  type RESTPostAPIChatInputApplicationCommandsJSONBody,
  type RESTPostAPIContextMenuApplicationCommandsJSONBody,
} from 'discord.js';
import { languageOf, languages, type MessageKey, say } from '../../shared/messages/index.ts';
import type { App, Asker } from '../app.ts';
import type { Answer, AnswerKind } from '../interaction/acknowledge.ts';

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
  /** Choices that Discord offers while an option is typed, 25 at most. */
  complete?(typing: Typing): Promise<Choice[]>;
}

export interface Typing {
  app: App;
  interaction: AutocompleteInteraction;
}

export type Choice = ApplicationCommandOptionChoiceData<string | number>;

/** Installed models by name and title, for a field called `model`. */
export async function completeModel({ app, interaction }: Typing): Promise<Choice[]> {
  const typed = interaction.options.getFocused().trim().toLowerCase();
  return [...(await app.models()).values()]
    .filter(({ name, title }) => `${name} ${title}`.toLowerCase().includes(typed))
    .map(({ name, title }) => ({ name: `${name} · ${title}`.slice(0, 100), value: name }));
}

/** A right click on a message. */
export interface MessageApp {
  definition: RESTPostAPIContextMenuApplicationCommandsJSONBody;
  kind: AnswerKind;
  run(call: AppCall): Promise<void>;
}

export interface AppCall {
  app: App;
  asker: Asker;
  answer: Answer;
  interaction: MessageContextMenuCommandInteraction;
}

type Named = { [K in MessageKey]: K extends `command.${infer Path}.name` ? Path : never }[MessageKey];

type AppNamed = { [K in MessageKey]: K extends `app.${infer Path}.name` ? Path : never }[MessageKey];

const inAll = (key: MessageKey): Partial<Record<Locale, string>> =>
  Object.fromEntries(
    Object.values(Locale)
      .filter((locale) => languageOf(locale) !== 'en' && languageOf(locale) in languages)
      .map((locale) => [locale, say(locale, key)]),
  );

/** Name of a message app in every language we have; it may have capitals and spaces. */
export const appNamed = (path: AppNamed) => ({
  type: ApplicationCommandType.Message as const,
  name: say('en-US', `app.${path}.name`),
  name_localizations: inAll(`app.${path}.name`),
});

/** A choice of an option, in every language we have. */
export const choiceNamed = (key: MessageKey, value: string) => ({
  name: say('en-US', key),
  name_localizations: inAll(key),
  value,
});

/** Name and description of a command or an option, in every language we have. */
export function named(path: Named): {
  name: string;
  name_localizations: Partial<Record<Locale, string>>;
  description: string;
  description_localizations: Partial<Record<Locale, string>>;
} {
  return {
    name: say('en-US', `command.${path}.name`),
    name_localizations: inAll(`command.${path}.name`),
    description: say('en-US', `command.${path}.description`),
    description_localizations: inAll(`command.${path}.description`),
  };
}

/** In servers and in direct messages with the bot. */
export const EVERYWHERE = { contexts: [0, 1], integration_types: [0] };
