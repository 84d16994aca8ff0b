import { type APIEmbed, ButtonStyle, ChannelType, ComponentType, TextInputStyle } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import type { LoraWish } from '../../shared/picture/lora.ts';
import { type Control, printControl } from './panelControls.ts';
import { OWN_WORD_LENGTH, OWN_WORDS_MAX, SAFETY_CHOICES, type ServerSettings } from './settings.ts';

/**
 * The panel of `/dreamgrid setup`: two pages of menus, each click saved at once, and what is in force above
 * the menus. Pure: settings in, message out.
 */
export type Page = 'people' | 'safety';

export interface Shown {
  locale: string;
  server: ServerSettings;
  blocked: readonly string[];
  models: readonly string[];
  /** Whether some installed model has a safety checker. */
  checked: boolean;
  /** The operator's settings, which a server can only tighten. */
  operator: { model: string; daily: number; safety: string; moderation: string };
}

export const LIMIT_FIELDS = { daily: 'daily', slow: 'slow', count: 'count' } as const;
export const WORDS_FIELD = 'words';
export const LORA_FIELDS = { rules: 'rules', channel: 'channel' } as const;
export const SWITCHES = ['moderation', 'adults', 'pings'] as const;
/** Stands for "the operator's model" among the values of a menu, none of which may be empty. */
export const OPERATORS = '*';

const BLURPLE = 0x5865f2;
const MENTIONED = 20;
const NONE = { parse: [] };

export const presentPanel = (shown: Shown, page: Page): object => ({
  embeds: [summary(shown)],
  components: page === 'people' ? peoplePage(shown) : safetyPage(shown),
  allowed_mentions: NONE,
});

function summary({ locale, server, blocked, operator, checked }: Shown): APIEmbed {
  const nobody = say(locale, 'setup.nobody');
  const mentions = (sign: string, ids: readonly string[], none: string): string =>
    ids.length === 0
      ? none
      : ids
          .slice(0, MENTIONED)
          .map((id) => `<${sign}${id}>`)
          .join(' ') + (ids.length > MENTIONED ? ' …' : '');
  const daily = server.daily || operator.daily;
  const onOff = (on: boolean): string => say(locale, on ? 'setup.on' : 'setup.off');
  const strict = operator.moderation === 'strict';
  const lists = strict || (server.moderation && operator.moderation === 'on');
  const safety =
    operator.safety === 'off' || !checked
      ? (`setup.safety.${operator.safety === 'off' ? 'off' : 'nobody'}` as const)
      : server.safety === 'operator'
        ? (`setup.safety.${operator.safety}` as 'setup.safety.blur')
        : (`setup.safety.${server.safety}` as const);
  const lines = {
    'setup.channels': mentions('#', server.channels, say(locale, 'setup.everywhere')),
    'setup.roles': mentions('@&', server.roles, say(locale, 'setup.everybody')),
    'setup.turbo': mentions('@&', server.turboRoles, say(locale, 'setup.everybody')),
    'setup.model': escapeMarkdown(server.model || operator.model),
    'setup.daily': daily === 0 ? say(locale, 'setup.no-limit') : String(daily),
    'setup.slow':
      server.slowSeconds === 0 ? onOff(false) : say(locale, 'setup.seconds', { n: server.slowSeconds }),
    'setup.count': String(server.count),
    'setup.moderation': `${onOff(lists)} · ${say(locale, 'setup.own-words', { n: server.words.length })}`,
    'setup.adults': say(locale, server.adults && !strict ? 'setup.adults.relaxed' : 'setup.adults.strict'),
    'setup.safety': say(locale, safety),
    'setup.loras': escapeMarkdown(server.loras.join(', ')).slice(0, 200) || say(locale, 'setup.loras.all'),
    'setup.channel-loras':
      Object.entries(server.channelLoras)
        .slice(0, MENTIONED)
        .map(([id, loras]) => `<#${id}> ${printLoras(loras)}`)
        .join(' · ') || nobody,
    'setup.pings': onOff(server.pings),
    'setup.audit': server.audit ? `<#${server.audit}>` : nobody,
    'setup.blocked': mentions('@', blocked, nobody),
  } as const;
  return {
    title: say(locale, 'setup.title'),
    description: (Object.keys(lines) as (keyof typeof lines)[])
      .map((key) => `**${say(locale, key)}** ${lines[key]}`)
      .join('\n'),
    footer: { text: say(locale, 'setup.saved') },
    color: BLURPLE,
  };
}

/** Channel types where a message can be posted, and those that have messages or threads. */
const WRITTEN = [ChannelType.GuildText, ChannelType.GuildAnnouncement];
const PAINTED = [...WRITTEN, ChannelType.GuildVoice, ChannelType.GuildStageVoice, ChannelType.GuildForum];

const row = (...components: object[]): object => ({ type: ComponentType.ActionRow, components });

function menu(
  { locale }: Shown,
  control: Control,
  type: ComponentType.ChannelSelect | ComponentType.RoleSelect,
  chosen: readonly string[],
  max: number,
): object {
  const kind = type === ComponentType.ChannelSelect ? 'channel' : 'role';
  return row({
    type,
    custom_id: printControl(control),
    placeholder: say(locale, `setup.${control as 'channels'}.pick`),
    min_values: 0,
    max_values: max,
    default_values: chosen.map((id) => ({ id, type: kind })),
    ...(kind === 'channel' ? { channel_types: control === 'audit' ? WRITTEN : PAINTED } : {}),
  });
}

function choice(
  { locale }: Shown,
  control: 'model' | 'safety' | 'switches',
  options: readonly { value: string; label: string; chosen: boolean }[],
  [min, max]: readonly [number, number] = [1, 1],
): object {
  return row({
    type: ComponentType.StringSelect,
    custom_id: printControl(control),
    placeholder: say(locale, `setup.${control}.pick`),
    min_values: min,
    max_values: max,
    options: options.map(({ value, label, chosen }) => ({
      value,
      label: label.slice(0, 100),
      ...(chosen ? { default: true } : {}),
    })),
  });
}

const button = (
  { locale }: Shown,
  control: 'to-people' | 'to-safety' | 'limits' | 'words' | 'loras' | 'reset',
  style: ButtonStyle.Primary | ButtonStyle.Secondary | ButtonStyle.Danger = ButtonStyle.Secondary,
): object => ({
  type: ComponentType.Button,
  style,
  custom_id: printControl(control),
  label: say(locale, `setup.button.${control}`),
});

function peoplePage(shown: Shown): object[] {
  const { server, models, operator, locale } = shown;
  // 25 choices are the most a menu has; one is the operator's, and one is kept for a model that is away.
  const names = [...new Set([...(server.model ? [server.model] : []), ...models])].slice(0, 24);
  return [
    menu(shown, 'channels', ComponentType.ChannelSelect, server.channels, 25),
    menu(shown, 'roles', ComponentType.RoleSelect, server.roles, 25),
    menu(shown, 'turbo', ComponentType.RoleSelect, server.turboRoles, 25),
    choice(shown, 'model', [
      {
        value: OPERATORS,
        label: say(locale, 'setup.model.operator', { model: operator.model }),
        chosen: server.model === '',
      },
      ...names.map((name) => ({ value: name, label: name, chosen: name === server.model })),
    ]),
    row(
      button(shown, 'to-safety', ButtonStyle.Primary),
      button(shown, 'limits'),
      button(shown, 'reset', ButtonStyle.Danger),
    ),
  ];
}

function safetyPage(shown: Shown): object[] {
  const { server, operator, locale } = shown;
  return [
    choice(
      shown,
      'switches',
      SWITCHES.map((name) => ({
        value: name,
        label: say(locale, `setup.switch.${name}`),
        chosen: server[name],
      })),
      [0, SWITCHES.length],
    ),
    choice(
      shown,
      'safety',
      SAFETY_CHOICES.map((value) => ({
        value,
        label:
          value === 'operator'
            ? say(locale, 'setup.safety.operator', {
                choice: say(locale, `setup.safety.${operator.safety as 'blur'}`),
              })
            : say(locale, `setup.safety.${value}`),
        chosen: server.safety === value,
      })),
    ),
    menu(shown, 'audit', ComponentType.ChannelSelect, server.audit ? [server.audit] : [], 1),
    row(button(shown, 'to-people', ButtonStyle.Primary), button(shown, 'words'), button(shown, 'loras')),
  ];
}

const input = (id: string, label: string, value: string, more: object): object =>
  row({ type: ComponentType.TextInput, custom_id: id, label, required: false, value, ...more });

export const limitsForm = (locale: string, server: ServerSettings): object => ({
  custom_id: printControl('limits'),
  title: say(locale, 'setup.limits.title'),
  components: [
    input(LIMIT_FIELDS.daily, say(locale, 'setup.limits.daily'), String(server.daily), {
      style: TextInputStyle.Short,
      max_length: 5,
    }),
    input(LIMIT_FIELDS.slow, say(locale, 'setup.limits.slow'), String(server.slowSeconds), {
      style: TextInputStyle.Short,
      max_length: 5,
    }),
    input(LIMIT_FIELDS.count, say(locale, 'setup.limits.count'), String(server.count), {
      style: TextInputStyle.Short,
      max_length: 1,
    }),
  ],
});

/** Discord's limit of characters in one field of a form. */
const WORDS_TEXT_MAX = 4000;

export const wordsForm = (locale: string, server: ServerSettings): object => ({
  custom_id: printControl('words'),
  title: say(locale, 'setup.words.title'),
  components: [
    input(WORDS_FIELD, say(locale, 'setup.words.label'), server.words.join('\n').slice(0, WORDS_TEXT_MAX), {
      style: TextInputStyle.Paragraph,
      max_length: WORDS_TEXT_MAX,
      placeholder: say(locale, 'setup.words.placeholder'),
    }),
  ],
});

export const lorasForm = (locale: string, server: ServerSettings, channelId: string): object => ({
  custom_id: printControl('loras'),
  title: say(locale, 'setup.loras.title'),
  components: [
    input(LORA_FIELDS.rules, say(locale, 'setup.loras.rules'), server.loras.join(', '), {
      style: TextInputStyle.Paragraph,
      max_length: WORDS_TEXT_MAX,
      placeholder: say(locale, 'setup.loras.placeholder'),
    }),
    input(
      LORA_FIELDS.channel,
      say(locale, 'setup.loras.channel'),
      printLoras(server.channelLoras[channelId] ?? []),
      {
        style: TextInputStyle.Short,
        max_length: 400,
        placeholder: 'pixelart:0.7',
      },
    ),
  ],
});

const printLoras = (loras: readonly LoraWish[]): string =>
  loras.map(({ name, weight }) => `${name}:${weight}`).join(', ');

/** One word or phrase a line; commas part them too. Too long or too many are refused, not cut. */
export function readWords(text: string): { words: string[] } | { problem: 'long' | 'many' } {
  const words = [
    ...new Set(
      text
        .normalize('NFC')
        .split(/[\n,]/)
        .map((word) => word.replace(/\s+/g, ' ').trim())
        .filter((word) => /[\p{L}\p{N}]/u.test(word)),
    ),
  ];
  if (words.some((word) => word.length > OWN_WORD_LENGTH)) return { problem: 'long' };
  return words.length > OWN_WORDS_MAX ? { problem: 'many' } : { words };
}

/** '' means none. @returns undefined for anything but a whole number in range */
export function readCount(text: string, max: number): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return 0;
  return /^\d{1,6}$/.test(trimmed) && Number(trimmed) <= max ? Number(trimmed) : undefined;
}
