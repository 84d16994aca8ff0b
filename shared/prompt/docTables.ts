import { say } from '../messages/index.ts';
import { PARAMETERS, type ParameterSpec, SAMPLERS } from '../picture/params.ts';

/** The tables of `docs/prompt.md`, in Markdown, from the one table that the parser reads. */

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const code = (name: string): string => `\`--${name}\``;

/** A parameter's names, the printed one first: `--ar`, `--aspect`. */
export const namesOf = ({ name, print = name, aliases }: ParameterSpec): string[] => [
  print,
  ...[name, ...aliases].filter((other) => other !== print),
];

/** The values that a parameter takes, as text. */
export const rangeOf = ({ kind, min, max, unit = '' }: ParameterSpec): string => {
  switch (kind) {
    case 'ratio':
      return 'W:H';
    case 'flag':
      return '';
    case 'list':
      return 'words, with commas';
    case 'links':
      return 'https links';
    case 'styles':
      return 'numbers or random';
    case 'word':
      return 'word';
    case 'model':
      return 'name or number';
    case 'lora':
      return 'name:weight';
    case 'sampler':
      return 'name';
    case 'style':
      return 'raw';
    default:
      return min === undefined || max === undefined ? 'number' : `${min}–${max} ${unit}`.trim();
  }
};

/** Markdown table of the supported parameters. */
export const parameterTable = (): string =>
  [
    row(['parameter', 'value', 'default', 'what it does']),
    row(['---', '---', '---', '---']),
    ...(PARAMETERS as readonly ParameterSpec[])
      .filter(({ instead }) => instead === undefined)
      .map((spec) =>
        row([namesOf(spec).map(code).join(' '), rangeOf(spec), String(spec.default ?? ''), spec.help]),
      ),
  ].join('\n');

/** Markdown table of unsupported parameters and what to use instead. */
export const unsupportedTable = (): string =>
  [
    row(['parameter', 'what to do instead']),
    row(['---', '---']),
    ...(PARAMETERS as readonly ParameterSpec[]).flatMap((spec) =>
      spec.instead === undefined
        ? []
        : [row([namesOf(spec).map(code).join(' '), say('en', `instead.${spec.instead}`)])],
    ),
  ].join('\n');

/** Markdown table of the samplers. */
export const samplerTable = (): string =>
  [
    row(['sampler', 'what it is like', 'engine']),
    row(['---', '---', '---']),
    ...Object.entries(SAMPLERS).map(([name, { help, scheduler }]) => row([`\`${name}\``, help, scheduler])),
  ].join('\n');
