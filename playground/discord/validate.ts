import * as spec from 'discord-api-spec/zod';
import type { Json } from '../world/types.ts';
import { DiscordError, refuse } from './errors.ts';

/** Checks a body by Discord's published spec; reports problems as Discord does (50035 with paths). */

interface Issue {
  code: string;
  path: PropertyKey[];
  message: string;
  errors?: Issue[][];
  maximum?: number;
  minimum?: number;
  origin?: string;
  values?: unknown[];
  format?: string;
  input?: unknown;
}
interface Schema {
  safeParse(
    value: unknown,
  ): { success: true; data: unknown } | { success: false; error: { issues: Issue[] } };
}

export function schemaOf(name: string): Schema {
  const found = (spec as Record<string, unknown>)[`${name}Schema`];
  if (!found) throw new Error(`discord-api-spec has no ${name}Schema`);
  return found as Schema;
}

export interface Problem {
  path: PropertyKey[];
  code: string;
  message: string;
}

/** Of a failed union, only the intended branch: the one whose `type` fits, then the one with the fewest issues. */
function flatten(issues: Issue[], base: PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path];
    if (issue.code !== 'invalid_union' || !issue.errors?.length) return [{ ...issue, path }];
    const branches = issue.errors.map((branch) => flatten(branch, path));
    const wrongType = (branch: Issue[]) =>
      branch.some((i) => i.path.length === path.length + 1 && i.path.at(-1) === 'type') ? 1 : 0;
    return branches.sort((a, b) => wrongType(a) - wrongType(b) || a.length - b.length)[0]!;
  });
}

function toProblem(issue: Issue, body: unknown): Problem {
  const at = issue.path.reduce<unknown>((v, k) => (v as Json | undefined)?.[k as string], body);
  const { path } = issue;
  if (at === undefined && issue.code !== 'custom')
    return { path, code: 'BASE_TYPE_REQUIRED', message: 'This field is required' };
  if (issue.code === 'too_big' && issue.origin === 'string')
    return { path, code: 'BASE_TYPE_MAX_LENGTH', message: `Must be ${issue.maximum} or fewer in length.` };
  if (issue.code === 'too_small' && issue.origin === 'string')
    return at === ''
      ? { path, code: 'BASE_TYPE_REQUIRED', message: 'This field is required' }
      : { path, code: 'BASE_TYPE_MIN_LENGTH', message: `Must be ${issue.minimum} or more in length.` };
  if (issue.code === 'too_big' || issue.code === 'too_small') {
    if (Array.isArray(at)) {
      const most = issue.code === 'too_big' ? issue.maximum : issue.minimum;
      return {
        path,
        code: 'BASE_TYPE_BAD_LENGTH',
        message: `Must be ${issue.code === 'too_big' ? `${most} or fewer` : `${most} or more`} in length.`,
      };
    }
    return issue.code === 'too_big'
      ? {
          path,
          code: 'NUMBER_TYPE_MAX',
          message: `int value should be less than or equal to ${issue.maximum}.`,
        }
      : {
          path,
          code: 'NUMBER_TYPE_MIN',
          message: `int value should be greater than or equal to ${issue.minimum}.`,
        };
  }
  if (issue.code === 'invalid_value')
    return {
      path,
      code: 'BASE_TYPE_CHOICES',
      message: `Value must be one of {${(issue.values ?? []).join(', ')}}.`,
    };
  if (issue.code === 'invalid_format' && issue.format === 'url')
    return { path, code: 'URL_TYPE_INVALID_URL', message: 'Not a well formed URL.' };
  if (issue.code === 'invalid_format' && issue.format === 'regex')
    return { path, code: 'NUMBER_TYPE_COERCE', message: `Value "${String(at)}" is not snowflake.` };
  return { path, code: 'BASE_TYPE_BAD_TYPE', message: issue.message || 'Invalid value' };
}

/** Discord nests the problems along their path, with `_errors` at the end. */
export function errorTree(problems: Problem[]): Json {
  const tree: Json = {};
  for (const { path, code, message } of problems) {
    let node = tree;
    for (const key of path) node = node[String(key)] ??= {};
    node['_errors'] ??= [];
    node['_errors'].push({ code, message });
  }
  return tree;
}

/** Paths in the body that the spec's object lacks. False, null and absent are ignored: real clients send them. */
export function unknownFields(body: unknown, parsed: unknown, path: string[] = []): string[] {
  if (Array.isArray(body) && Array.isArray(parsed))
    return body.flatMap((value, i) => unknownFields(value, parsed[i], [...path, String(i)]));
  if (!body || typeof body !== 'object' || !parsed || typeof parsed !== 'object') return [];
  return Object.entries(body).flatMap(([key, value]) => {
    if (!(key in parsed))
      return value === false || value === null || value === undefined ? [] : [[...path, key].join('.')];
    return unknownFields(value, (parsed as Json)[key], [...path, key]);
  });
}

/** Changes values that Discord and real clients send and the generated schemas refuse. */
function normalise(body: unknown): unknown {
  if (Array.isArray(body)) return body.map(normalise);
  if (!body || typeof body !== 'object') return body;
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => {
      if (key === 'default_member_permissions' && typeof value === 'string' && /^\d+$/.test(value))
        return [key, Number(value)];
      if (key === 'attachments' && Array.isArray(value))
        return [key, value.map((a) => (typeof a?.id === 'number' ? { ...a, id: String(a.id) } : a))];
      // Discord itself writes +00:00; the generated schema only takes Z.
      if (
        /timestamp$|_at$/.test(key) &&
        typeof value === 'string' &&
        /[+-]\d\d:\d\d$/.test(value) &&
        !Number.isNaN(Date.parse(value))
      )
        return [key, new Date(value).toISOString()];
      return [key, normalise(value)];
    }),
  );
}

export interface Checked {
  body: Json;
  unknown: string[];
}

/** Throws 50035 unless the body fits the named schema and the extra checks. */
export function check(schema: string, body: unknown, extra?: (body: Json) => Problem[]): Checked {
  const wanted = normalise(body);
  if (!wanted || typeof wanted !== 'object' || Array.isArray(wanted))
    throw refuse.invalidForm({
      _errors: [{ code: 'DICT_TYPE_CONVERT', message: 'Only dictionaries may be used in a DictType' }],
    });
  const result = schemaOf(schema).safeParse(wanted);
  const problems = result.success ? [] : flatten(result.error.issues).map((i) => toProblem(i, wanted));
  const known = new Set(problems.map((p) => `${p.path.join('.')} ${p.code}`));
  problems.push(
    ...(extra?.(wanted as Json) ?? []).filter((p) => !known.has(`${p.path.join('.')} ${p.code}`)),
  );
  if (problems.length) throw refuse.invalidForm(errorTree(problems));
  return { body: wanted as Json, unknown: result.success ? unknownFields(wanted, result.data) : [] };
}

/** Problems of our own answers by Discord's spec; for tests. */
export function replyProblems(schema: string, reply: unknown): string[] {
  const result = schemaOf(schema).safeParse(normalise(reply));
  return result.success
    ? []
    : flatten(result.error.issues).map((i) => `${i.path.map(String).join('.')}: ${i.message}`);
}

export function isInvalidForm(error: unknown): boolean {
  return (
    error instanceof DiscordError && (error.code === 50035 || error.code === 50006 || error.code === 40005)
  );
}
