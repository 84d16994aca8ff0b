import type { Json } from '../world/types.ts';
import type { Problem } from './validate.ts';

/** Rules of Discord for commands that its published spec lacks. */

const LOCALES = new Set(
  'id da de en-GB en-US es-ES es-419 fr hr it lt hu nl no pl pt-BR ro fi sv-SE vi tr cs el bg ru uk hi th zh-CN ja zh-TW ko ar he'.split(
    ' ',
  ),
);
const NAME = /^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}$/u;

function nameProblem(name: unknown, path: PropertyKey[]): Problem[] {
  if (typeof name !== 'string' || (NAME.test(name) && name === name.toLowerCase())) return [];
  return [{ path, code: 'APPLICATION_COMMAND_INVALID_NAME', message: 'Command name is invalid' }];
}

function localeProblems(part: Json, path: PropertyKey[], names: boolean): Problem[] {
  return ['name_localizations', 'description_localizations'].flatMap((key) =>
    Object.entries((part[key] ?? {}) as Json).flatMap(([locale, text]) => [
      ...(LOCALES.has(locale)
        ? []
        : [
            {
              path: [...path, key, locale],
              code: 'BASE_TYPE_CHOICES',
              message: 'Locale is not one of those available.',
            },
          ]),
      ...(names && key === 'name_localizations' ? nameProblem(text, [...path, key, locale]) : []),
    ]),
  );
}

function size(part: Json): number {
  const longest = (key: string): number =>
    Math.max(
      String(part[key] ?? '').length,
      ...Object.values((part[`${key}_localizations`] ?? {}) as Json).map((v) => String(v).length),
    );
  return (
    longest('name') +
    longest('description') +
    (part['choices'] ?? []).reduce(
      (n: number, c: Json) => n + String(c['name']).length + String(c['value']).length,
      0,
    ) +
    (part['options'] ?? []).reduce((n: number, o: Json) => n + size(o), 0)
  );
}

function optionProblems(options: Json[], path: PropertyKey[]): Problem[] {
  const problems: Problem[] = [];
  const names = new Set<string>();
  let optional = false;
  if (options.length > 25)
    problems.push({ path, code: 'BASE_TYPE_BAD_LENGTH', message: 'Must be 25 or fewer in length.' });
  options.forEach((option, i) => {
    const here = [...path, i];
    problems.push(...nameProblem(option['name'], [...here, 'name']), ...localeProblems(option, here, true));
    if (names.has(option['name']))
      problems.push({
        path: here,
        code: 'APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS',
        message: 'Option name already exists',
      });
    names.add(option['name']);
    if (option['required'] && optional)
      problems.push({
        path: here,
        code: 'APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID',
        message: 'Required options must be placed before non-required options',
      });
    if (!option['required'] && option['type'] > 2) optional = true;
    if (option['autocomplete'] && option['choices']?.length)
      problems.push({
        path: [...here, 'choices'],
        code: 'APPLICATION_COMMAND_AUTOCOMPLETE_CHOICES',
        message: 'Autocomplete options cannot have choices',
      });
    const min = option['min_length'] ?? option['min_value'];
    const max = option['max_length'] ?? option['max_value'];
    if (min !== undefined && max !== undefined && min > max)
      problems.push({
        path: here,
        code: 'APPLICATION_COMMAND_OPTION_MIN_MAX',
        message: 'Minimum must not be above maximum',
      });
    problems.push(...optionProblems(option['options'] ?? [], [...here, 'options']));
  });
  return problems;
}

export function commandProblems(command: Json, path: PropertyKey[] = []): Problem[] {
  const slash = (command['type'] ?? 1) === 1;
  const problems = [
    ...(slash ? nameProblem(command['name'], [...path, 'name']) : []),
    ...localeProblems(command, path, slash),
  ];
  if (slash && !command['description'])
    problems.push({
      path: [...path, 'description'],
      code: 'BASE_TYPE_REQUIRED',
      message: 'This field is required',
    });
  if (!slash && command['description'])
    problems.push({
      path: [...path, 'description'],
      code: 'APPLICATION_COMMAND_DESCRIPTION_INVALID',
      message: 'Context menu commands cannot have description',
    });
  if (!slash && command['options']?.length)
    problems.push({
      path: [...path, 'options'],
      code: 'APPLICATION_COMMAND_OPTIONS_INVALID',
      message: 'Context menu commands cannot have options',
    });
  problems.push(...optionProblems(command['options'] ?? [], [...path, 'options']));
  if (size(command) > 8000)
    problems.push({
      path,
      code: 'APPLICATION_COMMAND_TOO_LARGE',
      message: 'Command exceeds maximum size (8000)',
    });
  return problems;
}

/** Over a whole PUT: no two commands of a kind with one name, at most 100 slash and 15 of each menu. */
export function commandListProblems(commands: Json[]): Problem[] {
  const seen = new Set<string>();
  const problems = commands.flatMap((c, i) => {
    const key = `${c['type'] ?? 1}:${c['name']}`;
    const twice: Problem[] = seen.has(key)
      ? [
          {
            path: [i, 'name'],
            code: 'APPLICATION_COMMANDS_DUPLICATE_NAME',
            message: 'Application command names must be unique',
          },
        ]
      : [];
    seen.add(key);
    return [...commandProblems(c, [i]), ...twice];
  });
  const count = (type: number): number => commands.filter((c) => (c['type'] ?? 1) === type).length;
  if (count(1) > 100 || count(2) > 15 || count(3) > 15)
    problems.push({
      path: [],
      code: 'APPLICATION_COMMAND_TOO_MANY',
      message: 'Maximum number of application commands reached',
    });
  return problems;
}
