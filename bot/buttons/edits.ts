import { type APIActionRowComponent, type APIButtonComponent, ButtonStyle, ComponentType } from 'discord.js';
import { say } from '../../shared/messages/index.ts';
import { type CustomId, printCustomId } from '../../shared/picture/customId.ts';
import { CELLS, type Edit } from '../../shared/picture/editFrame.ts';
import { UserError } from '../../shared/service/errors.ts';
import { findRecipe } from '../history/findRecipe.ts';
import { onRedis } from '../interaction/redisAway.ts';
import type { Draft } from '../submit/drafts.ts';
import { editOf } from '../submit/drafts.ts';
import type { Button, Click, Filled } from './button.ts';
import { claim, mayRepaint, queue } from './claim.ts';
import { FIX_INPUT, keepFix, promptModal } from './fix.ts';
import { remix } from './remix.ts';

/** Vary (Region) and Custom Zoom: edits that need cells, a zoom or a prompt besides the click. */
async function draft(
  { app, id, files }: Click,
  wish: { action: Edit; cells?: number; zoom?: number },
): Promise<Draft> {
  const recipe = await findRecipe(app, id.jobId, files);
  if (id.index >= recipe.count) throw new UserError('forged');
  const card = (await onRedis(app.models())).get(recipe.model);
  if (card) mayRepaint(wish, card);
  return editOf(id.jobId, id.index, recipe, wish);
}

/**
 * The picture as 4 × 4 buttons, seen by the presser alone. The chosen cells stand in the buttons' custom ids;
 * nothing is stored.
 */
export const region: Button = {
  kind: 'private',
  async press(click) {
    const { asker, answer, id, files } = click;
    await draft(click, { action: 'vary-region' });
    const [url] = files;
    await answer.send({
      content: say(asker.locale, 'region.choose'),
      ...(url === undefined ? {} : { embeds: [{ image: { url } }] }),
      components: cellRows(asker.locale, id, 0),
      allowed_mentions: { parse: [] },
    });
  },
};

export const pickCells: Button = {
  kind: 'update',
  async press({ asker, answer, id }) {
    await answer.send({ components: cellRows(asker.locale, id, id.value ?? 0) });
  },
};

type Row = APIActionRowComponent<APIButtonComponent>;

function cellRows(locale: string, { index, jobId }: CustomId, cells: number): Row[] {
  const cell = (bit: number): APIButtonComponent => ({
    type: ComponentType.Button,
    style: cells & bit ? ButtonStyle.Success : ButtonStyle.Secondary,
    emoji: { name: cells & bit ? '🖌️' : '⬜' },
    custom_id: printCustomId({ action: 'region-cells', index, jobId, value: cells ^ bit }),
  });
  const across = [...Array(CELLS).keys()];
  const rows = across.map((y) => row(across.map((x) => cell(1 << (y * CELLS + x)))));
  const paint: APIButtonComponent = {
    type: ComponentType.Button,
    style: ButtonStyle.Primary,
    label: say(locale, 'region.paint'),
    disabled: cells === 0,
    custom_id: printCustomId({ action: 'region-prompt', index, jobId, value: cells }),
  };
  return [...rows, row([paint])];
}

const row = (components: APIButtonComponent[]): Row => ({ type: ComponentType.ActionRow, components });

/** @throws UserError('forged') where nothing was chosen */
const cellsOf = ({ value }: CustomId): number => {
  if (!value) throw new UserError('forged');
  return value;
};

export const regionPrompt: Button = {
  kind: 'modal',
  async press(click) {
    const { asker, answer, id } = click;
    const { prompt } = await draft(click, { action: 'vary-region', cells: cellsOf(id) });
    const [title, label] = [say(asker.locale, 'region.title'), say(asker.locale, 'fix.label')];
    await answer.openModal(promptModal(title, label, prompt, id));
  },
  form: {
    kind: 'message',
    prompt: FIX_INPUT,
    async submit(filled) {
      const cells = cellsOf(filled.id);
      await send(filled, await draft(filled, { action: 'vary-region', cells }), filled.field(FIX_INPUT));
    },
  },
};

const USUAL_ZOOM = 1.5;

/** As in Midjourney, the zoom stands in the prompt: `--zoom 1.8`. */
export const zoomCustom: Button = {
  kind: 'modal',
  async press(click) {
    const { asker, answer, id } = click;
    const { prompt } = await draft(click, { action: 'zoom-out' });
    const [title, label] = [say(asker.locale, 'zoom.title'), say(asker.locale, 'fix.label')];
    await answer.openModal(promptModal(title, label, `${prompt} --zoom ${USUAL_ZOOM}`, id));
  },
  form: {
    kind: 'message',
    prompt: FIX_INPUT,
    async submit(filled) {
      const otherwise = (filled.id.value ?? USUAL_ZOOM * 100) / 100;
      const { zoom, text } = takeZoom(filled.field(FIX_INPUT), otherwise);
      if (!(zoom >= 1 && zoom <= 2)) throw await wrongZoom(filled, zoom, text);
      // The Fix it form comes back with this custom id, and its prompt then has no --zoom any more.
      const id = { ...filled.id, value: Math.round(zoom * 100) };
      await send({ ...filled, id }, await draft(filled, { action: 'zoom-out', zoom }), text);
    },
  },
};

function takeZoom(typed: string, otherwise: number): { zoom: number; text: string } {
  let zoom = otherwise;
  const text = typed.replace(/\s*(?:--|[—–])zoom[\s=]+(\S+)/gi, (_, number: string) => {
    zoom = Number(number.replace(',', '.').replace(/x$/i, ''));
    return '';
  });
  return { zoom, text };
}

/** The error for a zoom out of range; Fix it proposes the nearest allowed zoom. */
async function wrongZoom({ app, asker, id }: Filled, zoom: number, text: string): Promise<UserError> {
  const nearest = Number.isNaN(zoom) ? USUAL_ZOOM : Math.min(2, Math.max(1, zoom));
  const pending = { text: `${text} --zoom ${nearest}`, button: printCustomId(id) };
  const offered = await keepFix(app, asker, pending);
  const params = { parameter: '--zoom', min: 1, max: 2 };
  return new UserError('out-of-range', { ...params, ...(offered ? { fix: asker.interactionId } : {}) });
}

async function send(filled: Filled, wish: Draft, typed: string): Promise<void> {
  const { app, asker, id } = filled;
  // The prompt is checked before the claim: sending a mended prompt is not a second click.
  const wanted = await remix(app, asker, id, typed, wish);
  await claim(app, asker, id);
  await queue(filled, wanted);
}
