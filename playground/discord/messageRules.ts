import type { Json } from '../world/types.ts';
import { MessageFlags } from '../world/types.ts';
import type { Problem } from './validate.ts';

/** Rules of Discord for messages that its published spec lacks. */

const EMBED_SUM = 6000;
/** Longest content, characters. The spec allows 4,000, which only some people have; a bot has 2,000. */
const CONTENT = 2000;
const OLD_ROWS = 5;
const V2_COMPONENTS = 40;
const V2_TEXT = 4000;

const long = (value: unknown): number => (typeof value === 'string' ? [...value].length : 0);

function embedProblems(embeds: Json[]): Problem[] {
  let sum = 0;
  const problems: Problem[] = [];
  embeds.forEach((embed, i) => {
    const size =
      long(embed['title']) +
      long(embed['description']) +
      long(embed['footer']?.text) +
      long(embed['author']?.name) +
      (embed['fields'] ?? []).reduce((n: number, f: Json) => n + long(f['name']) + long(f['value']), 0);
    sum += size;
    (embed['fields'] ?? []).forEach((field: Json, j: number) => {
      for (const key of ['name', 'value'])
        if (!field[key]?.trim?.())
          problems.push({
            path: ['embeds', i, 'fields', j, key],
            code: 'BASE_TYPE_REQUIRED',
            message: 'This field is required',
          });
    });
    const shows =
      size > 0 ||
      embed['image'] ||
      embed['thumbnail'] ||
      embed['video'] ||
      embed['url'] ||
      embed['timestamp'];
    if (!shows)
      problems.push({
        path: ['embeds', i, 'description'],
        code: 'BASE_TYPE_REQUIRED',
        message: 'This field is required',
      });
  });
  if (sum > EMBED_SUM)
    problems.push({
      path: ['embeds'],
      code: 'MAX_EMBED_SIZE_EXCEEDED',
      message: `Embed size exceeds maximum size of ${EMBED_SUM}`,
    });
  return problems;
}

export function* walkComponents(
  list: Json[],
  path: PropertyKey[] = ['components'],
): Generator<{ part: Json; path: PropertyKey[] }> {
  for (const [i, part] of list.entries()) {
    const here = [...path, i];
    yield { part, path: here };
    if (Array.isArray(part['components'])) yield* walkComponents(part['components'], [...here, 'components']);
    if (part['accessory']) yield { part: part['accessory'], path: [...here, 'accessory'] };
    if (part['component']) yield { part: part['component'], path: [...here, 'component'] };
  }
}

function componentProblems(components: Json[], v2: boolean): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  if (!v2 && components.length > OLD_ROWS)
    problems.push({
      path: ['components'],
      code: 'BASE_TYPE_BAD_LENGTH',
      message: `Must be between 1 and ${OLD_ROWS} in length.`,
    });
  if (!v2)
    components.forEach((c, i) => {
      if (c['type'] !== 1)
        problems.push({
          path: ['components', i, 'type'],
          code: 'BASE_TYPE_CHOICES',
          message: 'Value must be one of {1}.',
        });
    });
  let count = 0;
  let text = 0;
  for (const { part, path } of walkComponents(components)) {
    count++;
    if (part['type'] === 10) text += long(part['content']);
    const id = part['custom_id'];
    if (typeof id === 'string') {
      if (seen.has(id))
        problems.push({
          path: [...path, 'custom_id'],
          code: 'COMPONENT_CUSTOM_ID_DUPLICATED',
          message: 'Component custom id cannot be duplicated',
        });
      seen.add(id);
    }
    if (part['type'] === 2) problems.push(...buttonProblems(part, path));
    if (part['type'] === 3) problems.push(...selectProblems(part, path));
    if (part['type'] >= 5 && part['type'] <= 8) problems.push(...defaultsProblems(part, path));
    if (part['type'] === 1) {
      const inner: Json[] = part['components'] ?? [];
      if (inner.length > 1 && inner.some((c) => c['type'] >= 3 && c['type'] <= 8))
        problems.push({
          path: [...path, 'components'],
          code: 'COMPONENT_LAYOUT_WIDTH_EXCEEDED',
          message: 'The specified component exceeds the maximum width',
        });
    }
  }
  if (v2 && count > V2_COMPONENTS)
    problems.push({
      path: ['components'],
      code: 'COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED',
      message: `The number of total components must be less than or equal to ${V2_COMPONENTS}`,
    });
  if (v2 && text > V2_TEXT)
    problems.push({
      path: ['components'],
      code: 'COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED',
      message: `The total displayable text size must be less than or equal to ${V2_TEXT}`,
    });
  return problems;
}

function buttonProblems(part: Json, path: PropertyKey[]): Problem[] {
  const link = part['style'] === 5;
  const required = (key: string): Problem => ({
    path: [...path, key],
    code: 'BASE_TYPE_REQUIRED',
    message: 'This field is required',
  });
  if (part['style'] === 6) return [];
  const problems: Problem[] = [];
  if (link && !part['url']) problems.push(required('url'));
  if (!link && !part['custom_id']) problems.push(required('custom_id'));
  if (link && part['custom_id'])
    problems.push({
      path,
      code: 'BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE',
      message: 'A custom id and url cannot both be specified',
    });
  if (!part['label'] && !part['emoji'])
    problems.push({
      path,
      code: 'BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED',
      message: 'A button must have a label or an emoji',
    });
  if (
    part['emoji'] &&
    !part['emoji'].id &&
    !/\p{Extended_Pictographic}|\p{Regional_Indicator}|[#*0-9]\uFE0F?\u20E3/u.test(part['emoji'].name)
  )
    problems.push({
      path: [...path, 'emoji', 'name'],
      code: 'COMPONENT_INVALID_EMOJI',
      message: 'Invalid emoji',
    });
  return problems;
}

function selectProblems(part: Json, path: PropertyKey[]): Problem[] {
  const problems: Problem[] = [];
  const values = (part['options'] ?? []).map((o: Json) => o['value']);
  values.forEach((value: string, i: number) => {
    if (values.indexOf(value) !== i)
      problems.push({
        path: [...path, 'options', i, 'value'],
        code: 'SELECT_COMPONENT_OPTION_VALUE_DUPLICATED',
        message: 'The specified option value is already used',
      });
  });
  if ((part['max_values'] ?? 1) > values.length)
    problems.push({
      path: [...path, 'max_values'],
      code: 'NUMBER_TYPE_MAX',
      message: `int value should be less than or equal to ${values.length}.`,
    });
  return problems;
}

const DEFAULT_KINDS: Record<number, string[]> = {
  5: ['user'],
  6: ['role'],
  7: ['user', 'role'],
  8: ['channel'],
};

/** Problems of the default values of a select of people, roles or channels. */
function defaultsProblems(part: Json, path: PropertyKey[]): Problem[] {
  const given: Json[] = part['default_values'] ?? [];
  const here = [...path, 'default_values'];
  const [least, most] = [part['min_values'] ?? 1, part['max_values'] ?? 1];
  const kinds = DEFAULT_KINDS[part['type']] ?? [];
  return [
    ...(given.length > 0 && (given.length < least || given.length > most)
      ? [
          {
            path: here,
            code: 'BASE_TYPE_BAD_LENGTH',
            message: `Must be between ${least} and ${most} in length.`,
          },
        ]
      : []),
    ...given.flatMap((d, i) =>
      kinds.includes(d['type'])
        ? []
        : [
            {
              path: [...here, i, 'type'],
              code: 'BASE_TYPE_CHOICES',
              message: `Value must be one of {${kinds.join(', ')}}.`,
            },
          ],
    ),
  ];
}

/** Rules over a whole message body; its attachments may name the first `fileCount` files and `keptIds`. */
export function messageProblems(
  body: Json,
  files: { fileCount: number; keptIds: string[]; v2?: boolean },
): Problem[] {
  const v2 = files.v2 === true || ((body['flags'] ?? 0) & MessageFlags.componentsV2) !== 0;
  const problems = [
    ...embedProblems(body['embeds'] ?? []),
    ...componentProblems(body['components'] ?? [], v2),
  ];
  if (typeof body['content'] === 'string' && body['content'].length > CONTENT)
    problems.push({
      path: ['content'],
      code: 'BASE_TYPE_MAX_LENGTH',
      message: `Must be ${CONTENT} or fewer in length.`,
    });
  if (v2)
    for (const field of ['content', 'embeds', 'poll', 'sticker_ids'])
      if (body[field]?.length)
        problems.push({
          path: [field],
          code: 'MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2',
          message: `The '${field}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2`,
        });
  (body['attachments'] ?? []).forEach((a: Json, i: number) => {
    const id = String(a['id']);
    const isFile = /^\d{1,2}$/.test(id) && Number(id) < files.fileCount;
    if (!isFile && !files.keptIds.includes(id))
      problems.push({
        path: ['attachments', i],
        code: 'ATTACHMENT_NOT_FOUND',
        message: 'Attachment data not found',
      });
  });
  const mentions = body['allowed_mentions'];
  for (const kind of ['users', 'roles'])
    if (mentions?.parse?.includes(kind) && mentions?.[kind]?.length)
      problems.push({
        path: ['allowed_mentions'],
        code: 'MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE',
        message: `parse:["${kind}"] and ${kind}: [ids...] are mutually exclusive.`,
      });
  return problems;
}

export function modalProblems(data: Json): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  if (!data['title'] || long(data['title']) > 45)
    problems.push({
      path: ['title'],
      code: 'BASE_TYPE_BAD_LENGTH',
      message: 'Must be between 1 and 45 in length.',
    });
  if ((data['components'] ?? []).length > 5)
    problems.push({
      path: ['components'],
      code: 'BASE_TYPE_BAD_LENGTH',
      message: 'Must be between 1 and 5 in length.',
    });
  for (const { part, path } of walkComponents(data['components'] ?? [])) {
    const id = part['custom_id'];
    if (typeof id !== 'string') continue;
    if (seen.has(id))
      problems.push({
        path: [...path, 'custom_id'],
        code: 'COMPONENT_CUSTOM_ID_DUPLICATED',
        message: 'Component custom id cannot be duplicated',
      });
    seen.add(id);
    if (part['type'] === 4 && path.at(-1) !== 'component' && !part['label'])
      problems.push({
        path: [...path, 'label'],
        code: 'BASE_TYPE_REQUIRED',
        message: 'This field is required',
      });
    const most = part['max_length'] ?? 4000;
    if (part['type'] === 4 && long(part['value']) > most)
      problems.push({
        path: [...path, 'value'],
        code: 'BASE_TYPE_MAX_LENGTH',
        message: `Must be ${most} or fewer in length.`,
      });
  }
  return problems.map((p) => ({ ...p, path: ['data', ...p.path] }));
}
