import {
  type APIActionRowComponent,
  type APIButtonComponent,
  type APIStringSelectComponent,
  ButtonStyle,
  ComponentType,
} from 'discord.js';
import {
  DEFAULT_LANE,
  LANES,
  resetSettings,
  type Settings,
  VISIBILITIES,
} from '../../shared/memory/settings.ts';
import { say } from '../../shared/messages/index.ts';
import { type ButtonAction, printCustomId } from '../../shared/picture/customId.ts';
import { escapeMarkdown } from '../../shared/picture/jobMessage.ts';
import type { ModelCard } from '../../shared/queue/job.ts';
import type { App, Asker } from '../app.ts';
import type { Answer } from '../interaction/acknowledge.ts';
import { onRedis } from '../interaction/redisAway.ts';
import {
  choose,
  chooseLane,
  chooseVisibility,
  settingsOf,
  toggle,
  toggleVariability,
} from '../submit/preferences.ts';
import type { Button, Click } from './button.ts';

/**
 * The panel of /settings: three menus, toggles, lanes. Each click changes one setting and draws the panel anew.
 */
export const STYLIZE = { low: 50, medium: 100, high: 250, 'very-high': 750 } as const;
const QUALITIES = [0.25, 0.5, 1, 2, 4] as const;
/** The menu value that stands for the server's default. */
const DEFAULT = 'default';
/** Discord's limit of choices in one menu. */
const MOST = 25;

type Row = APIActionRowComponent<APIButtonComponent | APIStringSelectComponent>;

/** The panel as a message payload. Pure: settings in, message out. */
export function presentSettings(
  { locale, user }: Asker,
  settings: Settings,
  models: ReadonlyMap<string, ModelCard>,
): object {
  const id = (action: ButtonAction, index = 0): string => printCustomId({ action, index, jobId: user.id });
  const menu = (
    action: 'set-model' | 'set-stylize' | 'set-quality',
    chosen: string | undefined,
    choices: readonly { value: string; label: string; description?: string }[],
  ): Row => {
    const name = say(locale, `settings.${action}`);
    const own = { value: DEFAULT, label: `${name}: ${say(locale, 'settings.default')}` };
    const all = [own, ...choices.map((choice) => ({ ...choice, label: `${name}: ${choice.label}` }))];
    const known = all.some(({ value }) => value === chosen) ? chosen : DEFAULT;
    return {
      type: ComponentType.ActionRow,
      components: [
        {
          type: ComponentType.StringSelect,
          custom_id: id(action),
          options: all.map((choice) => ({ ...choice, default: choice.value === known })),
        },
      ],
    };
  };
  const button = (action: ButtonAction, label: string, on: boolean, index = 0): APIButtonComponent => ({
    type: ComponentType.Button,
    style: on ? ButtonStyle.Success : ButtonStyle.Secondary,
    label,
    custom_id: id(action, index),
  });
  const row = (...components: APIButtonComponent[]): Row => ({ type: ComponentType.ActionRow, components });
  const { raw = false, remix = false, autoDm = false, variability = 'high' } = settings;
  const { lane = DEFAULT_LANE, visibility = 'public' } = settings;
  return {
    content: '',
    embeds: [
      {
        title: say(locale, 'settings.title'),
        description: settings.suffix
          ? say(locale, 'settings.suffix', { suffix: escapeMarkdown(settings.suffix).slice(0, 1000) })
          : say(locale, 'settings.text'),
      },
    ],
    components: [
      menu(
        'set-model',
        settings.model,
        [...models.values()].slice(0, MOST - 1).map(({ name, title }) => ({
          value: name,
          label: name.slice(0, 64),
          description: title.slice(0, 100),
        })),
      ),
      menu(
        'set-stylize',
        settings.stylize === undefined ? undefined : String(settings.stylize),
        Object.entries(STYLIZE).map(([name, value]) => ({
          value: String(value),
          label: `${say(locale, `settings.stylize.${name as keyof typeof STYLIZE}`)} (${value})`,
        })),
      ),
      menu(
        'set-quality',
        settings.quality === undefined ? undefined : String(settings.quality),
        QUALITIES.map((value) => ({
          value: String(value),
          label: say(locale, 'settings.quality.times', { value }),
        })),
      ),
      row(
        button('set-raw', say(locale, 'settings.raw'), raw),
        button('set-remix', say(locale, 'settings.remix'), remix),
        button('set-variability', say(locale, `settings.variability.${variability}`), variability === 'high'),
        button('set-auto-dm', say(locale, 'settings.auto-dm'), autoDm),
        button('set-reset', say(locale, 'settings.reset'), false),
      ),
      row(
        ...LANES.map((name, i) => button('set-lane', say(locale, `settings.${name}`), name === lane, i)),
        ...VISIBILITIES.map((name, i) =>
          button('set-visibility', say(locale, `settings.${name}`), name === visibility, i),
        ),
      ),
    ],
    allowed_mentions: { parse: [] },
  };
}

export async function showSettings(app: App, asker: Asker, answer: Answer): Promise<void> {
  const [settings, models] = await Promise.all([settingsOf(app, asker), onRedis(app.models())]);
  await answer.send(presentSettings(asker, settings, models));
}

const panel = (change: (click: Click) => Promise<unknown>): Button => ({
  kind: 'update',
  async press(click) {
    await change(click);
    await showSettings(click.app, click.asker, click.answer);
  },
});

const numberOf = (value: string | undefined, allowed: readonly number[]): number | undefined =>
  allowed.find((one) => String(one) === value);

export const settingsButtons = {
  'set-model': panel(async ({ app, asker, values: [value] }) => {
    const models = await onRedis(app.models());
    await choose(app, asker, { model: value !== undefined && models.has(value) ? value : undefined });
  }),
  'set-stylize': panel(({ app, asker, values: [value] }) =>
    choose(app, asker, { stylize: numberOf(value, Object.values(STYLIZE)) }),
  ),
  'set-quality': panel(({ app, asker, values: [value] }) =>
    choose(app, asker, { quality: numberOf(value, QUALITIES) }),
  ),
  'set-raw': panel(({ app, asker }) => toggle(app, asker, 'raw')),
  'set-remix': panel(({ app, asker }) => toggle(app, asker, 'remix')),
  'set-variability': panel(({ app, asker }) => toggleVariability(app, asker)),
  'set-auto-dm': panel(({ app, asker }) => toggle(app, asker, 'autoDm')),
  'set-reset': panel(({ app, asker }) => onRedis(resetSettings(app.redis, asker.user.id))),
  'set-lane': panel(({ app, asker, id }) => chooseLane(app, asker, LANES[id.index] ?? DEFAULT_LANE)),
  'set-visibility': panel(({ app, asker, id }) =>
    chooseVisibility(app, asker, VISIBILITIES[id.index] ?? 'public'),
  ),
} satisfies { [action in Extract<ButtonAction, `set-${string}`>]: Button };
