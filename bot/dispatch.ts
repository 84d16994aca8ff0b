import { randomUUID } from 'node:crypto';
import {
  type AutocompleteInteraction,
  type ButtonInteraction,
  type ChatInputCommandInteraction,
  DiscordAPIError,
  type Interaction,
  type MessageComponentInteraction,
  type MessageContextMenuCommandInteraction,
  type ModalSubmitInteraction,
  type StringSelectMenuInteraction,
} from 'discord.js';
import pRetry, { type Options } from 'p-retry';
import { type CustomId, parseCustomId } from '../shared/picture/customId.ts';
import { StoreAwayError } from '../shared/picture/store.ts';
import { UserError } from '../shared/service/errors.ts';
import type { App, Asker } from './app.ts';
import { buttonOf } from './buttons/index.ts';
import { commands, messageApps } from './commands/index.ts';
import { checkShown } from './history/ownership.ts';
import { type Answer, type AnswerKind, openAnswer } from './interaction/acknowledge.ts';
import { askerOf } from './interaction/asker.ts';
import { presentError } from './interaction/errorReply.ts';
import { refusedUse } from './interaction/operatorGate.ts';
import { isRedisAway } from './interaction/redisAway.ts';
import { kindOf, touchPanel } from './server/panelActions.ts';
import { type Control, parseControl } from './server/panelControls.ts';
import { audit } from './submit/audit.ts';

/** Discord allows 3 s; an unanswered interaction is deferred at this age, with time for the way. */
const DEFER_AFTER_MS = 1800;

/** Discord's codes for an expired or acknowledged interaction or a deleted message: no reply is possible. */
const NOBODY_THERE = new Set<number | string>([10062, 10015, 10008, 10003, 40060, 50027]);

/** How one interaction is answered. */
interface Plan {
  kind: AnswerKind;
  /** What the person typed, for the footer of an error. */
  typed?: string | undefined;
  /** The command that it was typed after. */
  command?: string | undefined;
  run(answer: Answer): Promise<void>;
}

/** Hands an interaction to its handler. The only catch: every error ends as one private reply. */
export async function dispatch(app: App, interaction: Interaction): Promise<void> {
  if (interaction.isAutocomplete()) return complete(app, interaction);
  if (!interaction.isRepliable()) return;
  const asker = askerOf(interaction);
  const closed = refusedUse(app.env, asker);
  const open = closed === undefined || (closed.code === 'blocked-operator' && isOwnData(interaction));
  const plan = open ? planOf(app, asker, interaction) : refuse(closed);
  if (!plan) return;
  const answer = openAnswer(app.rest, asker, plan.kind);
  // With a clock ahead of Discord's the deferral comes early; with a late one no later than planned.
  const age = Math.max(0, Date.now() - interaction.createdTimestamp);
  const defer = (): Promise<void> =>
    answer.defer().catch((error) => {
      if (isNobodyThere(error)) throw error;
      app.log.warn({ err: error, id: interaction.id }, 'not deferred');
    });
  const timer = setTimeout(
    () => void defer().catch(() => undefined), // the answer will fail with the same error
    Math.max(1, DEFER_AFTER_MS - age),
  );
  try {
    // An interaction this old may have expired: the deferral finds out before work begins. Without this a
    // bot that fell behind would work on expired interactions and never catch up.
    if (age >= DEFER_AFTER_MS) await defer();
    await plan.run(answer);
  } catch (error) {
    await explain(app, asker, answer, plan, error);
  } finally {
    clearTimeout(timer);
  }
}

/** /mydata and its buttons: a member whom the operator blocked may still export and erase their data. */
const isOwnData = (interaction: Interaction): boolean => {
  if (interaction.isChatInputCommand()) return interaction.commandName === 'mydata';
  const parsed = interaction.isButton() ? parseCustomId(interaction.customId) : undefined;
  return parsed?.ok === true && /^my-/.test(parsed.id.action);
};

/** Answers an autocomplete; an error gives no suggestions. */
async function complete(app: App, interaction: AutocompleteInteraction): Promise<void> {
  const { user, guildId } = interaction;
  const closed = refusedUse(app.env, { user, guildId: guildId ?? undefined });
  const command = closed ? undefined : commands.get(interaction.commandName);
  try {
    const choices = (await command?.complete?.({ app, interaction })) ?? [];
    await interaction.respond(choices.slice(0, 25));
  } catch (error) {
    app.log.debug({ err: error, id: interaction.id }, 'no suggestions');
    await interaction.respond([]).catch(() => undefined);
  }
}

/** Retries telling an error after 2, 8 and 32 s where Discord fails; not where Discord refuses. */
const TELL_AGAIN: Options = {
  retries: 3,
  minTimeout: 2000,
  factor: 4,
  shouldRetry: ({ error }) => !(error instanceof DiscordAPIError),
};

async function explain(app: App, asker: Asker, answer: Answer, plan: Plan, thrown: unknown): Promise<void> {
  const error = whatToTell(thrown);
  const errorId = randomUUID().slice(0, 8);
  const about = { errorId, interactionId: asker.interactionId };
  app.metrics.refused(codeOf(error));
  if (error instanceof UserError) {
    app.log.debug({ ...about, code: error.code }, 'refused');
    void audit(app, asker, error, plan.typed);
  } else if (isNobodyThere(error)) return app.log.warn({ ...about, err: error }, 'nobody to answer');
  else app.log.error({ ...about, err: error }, 'interaction failed');
  const told = presentError(error, {
    locale: asker.locale,
    typed: plan.typed,
    command: plan.command,
    errorId,
  });
  try {
    await pRetry(() => answer.tell(told), TELL_AGAIN);
  } catch (failure) {
    app.log.warn({ ...about, err: failure }, 'error not told');
  }
}

/** A store or Redis that is away becomes a UserError, not an error of ours. */
function whatToTell(thrown: unknown): unknown {
  if (thrown instanceof StoreAwayError) return new UserError('store');
  return isRedisAway(thrown) ? new UserError('redis') : thrown;
}

const isNobodyThere = (error: unknown): boolean =>
  error instanceof DiscordAPIError && NOBODY_THERE.has(error.code);

const codeOf = (error: unknown): string =>
  error instanceof UserError ? error.code : isNobodyThere(error) ? 'late' : 'broke';

function planOf(app: App, asker: Asker, interaction: Interaction): Plan | undefined {
  if (interaction.isChatInputCommand()) return planCommand(app, asker, interaction);
  if (interaction.isMessageContextMenuCommand()) return planApp(app, asker, interaction);
  if (interaction.isMessageComponent() || interaction.isModalSubmit()) {
    const control = parseControl(interaction.customId);
    if (control) return planPanel(app, asker, interaction, control);
  }
  if (interaction.isButton() || interaction.isStringSelectMenu()) return planButton(app, asker, interaction);
  if (interaction.isModalSubmit()) return planModal(app, asker, interaction);
  return undefined;
}

const refuse = (error: UserError): Plan => ({
  kind: 'private',
  run: async () => {
    throw error;
  },
});

function planCommand(app: App, asker: Asker, interaction: ChatInputCommandInteraction): Plan {
  const command = commands.get(interaction.commandName);
  if (!command) return refuse(new UserError('unknown-command'));
  return {
    kind: command.kind,
    typed: interaction.options.getString('prompt') ?? undefined,
    command: interaction.commandName,
    run: (answer) => command.run({ app, asker, answer, interaction }),
  };
}

function planApp(app: App, asker: Asker, interaction: MessageContextMenuCommandInteraction): Plan {
  const found = messageApps.get(interaction.commandName);
  if (!found) return refuse(new UserError('unknown-command'));
  return { kind: found.kind, run: (answer) => found.run({ app, asker, answer, interaction }) };
}

/** The panel of `/dreamgrid setup`: its menus, buttons and the forms they open. */
function planPanel(
  app: App,
  asker: Asker,
  interaction: MessageComponentInteraction | ModalSubmitInteraction,
  control: Control | 'expired',
): Plan {
  if (control === 'expired') return refuse(new UserError('expired'));
  const sent = interaction.isModalSubmit();
  const field = sent ? (name: string): string => interaction.fields.getTextInputValue(name) : undefined;
  const values = !sent && interaction.isAnySelectMenu() ? interaction.values : [];
  return {
    kind: kindOf(control, sent),
    run: (answer) => touchPanel({ app, asker, answer, control, values, field }),
  };
}

/** Parses a custom id, which can be forged or of an older version. */
function readCustomId(text: string): CustomId | UserError {
  const parsed = parseCustomId(text);
  return parsed.ok ? parsed.id : new UserError(parsed.why);
}

type WithFiles = {
  attachments: ReadonlyMap<string, { url: string }>;
  embeds: readonly { image: { url: string } | null }[];
} | null;
/** Pictures on a message: its own files, and those it shows. */
const filesOf = (message: WithFiles): string[] =>
  message
    ? [
        ...[...message.attachments.values()].map(({ url }) => url),
        ...message.embeds.flatMap(({ image }) => image?.url ?? []),
      ]
    : [];

function planButton(
  app: App,
  asker: Asker,
  interaction: ButtonInteraction | StringSelectMenuInteraction,
): Plan {
  const id = readCustomId(interaction.customId);
  if (id instanceof UserError) return refuse(id);
  const button = buttonOf(id.action);
  const files = filesOf(interaction.message);
  const values = interaction.isStringSelectMenu() ? interaction.values : [];
  return {
    kind: button.kind,
    run: async (answer) => {
      await checkShown(app, asker, id);
      await button.press({ app, asker, answer, id, files, values });
    },
  };
}

/** @returns undefined where a forged form lacks its field */
function typedIn({ fields }: ModalSubmitInteraction, name: string): string | undefined {
  try {
    return fields.getTextInputValue(name);
  } catch {
    return undefined;
  }
}

/** A form carries the custom id of the button that opened it. */
function planModal(app: App, asker: Asker, interaction: ModalSubmitInteraction): Plan {
  const id = readCustomId(interaction.customId);
  if (id instanceof UserError) return refuse(id);
  const { form } = buttonOf(id.action);
  if (!form) return refuse(new UserError('forged'));
  const field = (name: string): string => {
    const text = typedIn(interaction, name);
    if (text === undefined) throw new UserError('forged');
    return text;
  };
  const files = filesOf(interaction.message);
  return {
    kind: form.kind,
    typed: form.prompt === undefined ? undefined : typedIn(interaction, form.prompt),
    run: async (answer) => {
      await checkShown(app, asker, id);
      await form.submit({ app, asker, answer, id, files, values: [], field });
    },
  };
}
