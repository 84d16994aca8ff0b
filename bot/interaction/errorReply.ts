import { type APIEmbed, ButtonStyle, ComponentType } from 'discord.js';
import { say, sayError } from '../../shared/messages/index.ts';
import { printCustomId } from '../../shared/picture/customId.ts';
import type { Payload } from '../../shared/picture/jobMessage.ts';
import { UserError } from '../../shared/service/errors.ts';

/**
 * The embed that the asker alone sees after an error, with the typed command in its footer, so
 * that it can be copied. Pure; tests check the code.
 */
const YELLOW = 0xfee75c;
const RED = 0xed4245;
/** All texts of an embed together may have 6,000 characters. */
const FOOTER_MAX = 2000;
const TEXT_MAX = 3700;

export interface ErrorContext {
  locale: string;
  /** What was typed after the command, where there is something to copy. */
  typed?: string | undefined;
  /** The command that it was typed after; /imagine's where left out. */
  command?: string | undefined;
  /** Id of the error's log line; shown for errors that are no UserError. */
  errorId: string;
}

export function presentError(error: unknown, { locale, typed, command, errorId }: ErrorContext): Payload {
  const ours = !(error instanceof UserError);
  const { title, text } = ours
    ? sayError(locale, 'broke', {}, 'broke')
    : sayError(locale, error.code, error.params, 'broke');
  const footer = ours
    ? say(locale, 'footer.error', { id: errorId })
    : typed
      ? lineOf(locale, command, typed)
      : undefined;
  const embed: APIEmbed = {
    title,
    description: cut(text, TEXT_MAX),
    color: ours ? RED : YELLOW,
    ...(footer ? { footer: { text: cut(footer, FOOTER_MAX) } } : {}),
  };
  const fix = ours ? undefined : error.params['fix'];
  return {
    content: '',
    embeds: [embed],
    components:
      fix === undefined
        ? []
        : [
            {
              type: ComponentType.ActionRow,
              components: [
                {
                  type: ComponentType.Button,
                  style: ButtonStyle.Primary,
                  label: say(locale, 'button.fix'),
                  custom_id: printCustomId({ action: 'fix', index: 0, jobId: String(fix) }),
                },
              ],
            },
          ],
    allowed_mentions: { parse: [] },
  };
}

/** Commands that take a prompt. */
const PROMPTED = ['imagine', 'compare', 'shorten'] as const;

function lineOf(locale: string, command: string | undefined, prompt: string): string {
  const known = PROMPTED.find((name) => name === command) ?? 'imagine';
  return say(locale, 'footer.command', {
    command: say(locale, `command.${known}.name`),
    option: say(locale, `command.${known}.prompt.name`),
    prompt,
  });
}

/** Cuts to `max` UTF-16 units without halving a surrogate pair. */
const cut = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, '')}…`;
