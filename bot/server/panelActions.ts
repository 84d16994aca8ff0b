import { MAX_LORA_WEIGHT, MAX_LORAS } from '../../shared/picture/lora.ts';
import { UserError } from '../../shared/service/errors.ts';
import type { App, Asker } from '../app.ts';
import type { Answer, AnswerKind } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import { GRID } from '../submit/drafts.ts';
import { readLoraList, usableLoras } from '../submit/loras.ts';
import {
  LIMIT_FIELDS,
  LORA_FIELDS,
  limitsForm,
  lorasForm,
  OPERATORS,
  type Page,
  presentPanel,
  readCount,
  readWords,
  type Shown,
  SWITCHES,
  WORDS_FIELD,
  wordsForm,
} from './panel.ts';
import type { Control } from './panelControls.ts';
import {
  changeServer,
  listBlocked,
  OWN_WORD_LENGTH,
  OWN_WORDS_MAX,
  readServer,
  resetServer,
  SAFETY_CHOICES,
  type ServerSettings,
} from './settings.ts';

/** What a click on the panel does. Each click checks the permission: the member may have lost it since. */
export interface Touch {
  app: App;
  asker: Asker;
  answer: Answer;
  control: Control;
  /** Values chosen in a menu. */
  values: readonly string[];
  /** Reads a field of the form that the control opened; absent for a click. */
  field?: ((name: string) => string) | undefined;
}

const DAILY_MAX = 10_000;
const SLOW_MAX = 21_600;

/** @throws UserError('not-manager'), the id of the server otherwise */
export function managed({ guildId, manager }: Asker): string {
  if (guildId === undefined || !manager) throw new UserError('not-manager');
  return guildId;
}

const FORMS: ReadonlySet<Control> = new Set(['limits', 'words', 'loras']);
const PAGES: Readonly<Record<Control, Page>> = {
  channels: 'people',
  roles: 'people',
  turbo: 'people',
  model: 'people',
  switches: 'safety',
  safety: 'safety',
  audit: 'safety',
  'to-people': 'people',
  'to-safety': 'safety',
  loras: 'safety',
  limits: 'people',
  words: 'safety',
  reset: 'people',
};

/** A button that opens a form must not be deferred; every other control updates the panel's message. */
export const kindOf = (control: Control, sent: boolean): AnswerKind =>
  FORMS.has(control) && !sent ? 'modal' : 'update';

export async function showPanel(app: App, asker: Asker, answer: Answer, page: Page): Promise<void> {
  await answer.send(presentPanel(await readShown(app, asker), page));
}

export async function touchPanel(touch: Touch): Promise<void> {
  const { app, asker, answer, control, field } = touch;
  const guildId = managed(asker);
  if (FORMS.has(control) && !field) {
    const server = await onRedis(readServer(app.redis, guildId));
    const form = { limits: limitsForm, words: wordsForm, loras: lorasForm }[
      control as 'limits' | 'words' | 'loras'
    ];
    await answer.openModal(form(asker.locale, server, asker.channelId));
    return;
  }
  if (control === 'reset') await onRedis(resetServer(app.redis, guildId));
  else if (control === 'loras') await changeLoras(touch, guildId);
  else await onRedis(changeServer(app.redis, guildId, changesOf(touch)));
  app.log.info({ guildId, by: asker.user.id, control }, 'server settings changed');
  await showPanel(app, asker, answer, PAGES[control]);
}

/** LoRA names are kept as typed; a default LoRA must be installed, and its weight in range. */
async function changeLoras({ app, asker, field }: Touch, guildId: string): Promise<void> {
  const [server, models] = await onRedis(Promise.all([readServer(app.redis, guildId), app.models()]));
  const known = usableLoras(models);
  const wanted = readLoraList(field?.(LORA_FIELDS.channel) ?? '', known);
  const wrong = wanted.find(
    ({ name, weight }) =>
      !known.some((lora) => lora.name === name) ||
      !(Math.abs(weight) <= MAX_LORA_WEIGHT) ||
      wanted.length > MAX_LORAS,
  );
  if (wrong) {
    const loras = known.map(({ name }) => name).slice(0, 25);
    throw new UserError('unknown-lora', {
      value: `${wrong.name}:${wrong.weight}`,
      loras: loras.join(', ') || '–',
    });
  }
  const rules = (field?.(LORA_FIELDS.rules) ?? '')
    .split(/[\n,]/)
    .flatMap((rule) => rule.trim().slice(0, 81) || []);
  const { [asker.channelId]: _before, ...others } = server.channelLoras;
  const channelLoras = wanted.length > 0 ? { ...others, [asker.channelId]: wanted } : others;
  await onRedis(changeServer(app.redis, guildId, { loras: [...new Set(rules)].slice(0, 100), channelLoras }));
}

/** @throws UserError for a value that is out of range or forged */
function changesOf({ control, values, field }: Touch): Partial<ServerSettings> {
  switch (control) {
    case 'channels':
      return { channels: [...values] };
    case 'roles':
      return { roles: [...values] };
    case 'turbo':
      return { turboRoles: [...values] };
    case 'model':
      return { model: values[0] === undefined || values[0] === OPERATORS ? '' : values[0] };
    case 'switches':
      return Object.fromEntries(SWITCHES.map((name) => [name, values.includes(name)]));
    case 'safety': {
      const chosen = SAFETY_CHOICES.find((name) => name === values[0]);
      if (!chosen) throw new UserError('forged');
      return { safety: chosen };
    }
    case 'audit':
      return { audit: values[0] ?? '' };
    case 'limits': {
      const daily = readCount(field?.(LIMIT_FIELDS.daily) ?? '', DAILY_MAX);
      if (daily === undefined) throw new UserError('setup-daily', { max: DAILY_MAX });
      const slowSeconds = readCount(field?.(LIMIT_FIELDS.slow) ?? '', SLOW_MAX);
      if (slowSeconds === undefined) throw new UserError('setup-slow', { max: SLOW_MAX });
      // A form opened in a version without this field lacks it.
      const count = readCount(field?.(LIMIT_FIELDS.count) || String(GRID), GRID);
      if (count === undefined || count === 0) throw new UserError('setup-count', { max: GRID });
      return { daily, slowSeconds, count };
    }
    case 'words': {
      const read = readWords(field?.(WORDS_FIELD) ?? '');
      if ('words' in read) return { words: read.words };
      throw new UserError(`setup-words-${read.problem}`, { max: OWN_WORDS_MAX, length: OWN_WORD_LENGTH });
    }
    default:
      return {};
  }
}

async function readShown(app: App, asker: Asker): Promise<Shown> {
  const { redis, env } = app;
  const guildId = managed(asker);
  const [server, blocked, models] = await onRedis(
    Promise.all([readServer(redis, guildId), listBlocked(redis, guildId), app.models()]),
  );
  return {
    locale: asker.locale,
    server,
    blocked,
    models: [...models.keys()],
    checked: [...models.values()].some(({ checked }) => checked),
    operator: {
      model: env.DEFAULT_MODEL,
      daily: env.DAILY_JOBS,
      safety: env.SAFETY,
      moderation: env.MODERATION,
    },
  };
}
