import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCustomId } from '../../../shared/picture/customId.ts';
import {
  escapeMarkdown,
  fileName,
  type Payload,
  presentCancelled,
  presentFailure,
  presentProgress,
  presentQueued,
  presentResult,
} from '../../../shared/picture/jobMessage.ts';
import type { Recipe } from '../../../shared/picture/recipe.ts';
import type { RenderRequest, RenderResult } from '../../../shared/queue/job.ts';

const jobId = '1234567890123456789';
const render: RenderRequest = {
  v: 1,
  jobId,
  action: 'imagine',
  prompt: 'a fox in the snow --ar 3:2',
  parts: [{ text: 'a fox in the snow', weight: 1 }],
  negative: '',
  params: { aspect: [3, 2] },
  model: 'pocket',
  seed: 7,
  count: 4,
  user: { id: '111111111111111111', name: 'An' },
  createdAt: 0,
};
const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'pocket',
  modelHash: '0123456789abcdef',
  prompt: render.prompt,
  parts: render.parts,
  negative: '',
  seed: 7,
  count: 4,
  width: 96,
  height: 64,
  steps: 20,
  guidance: 5,
  scheduler: 'DDIMScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
};
const resultOf = (count: number): RenderResult => ({
  v: 1,
  jobId,
  recipe: { ...recipe, count, seed: 8 },
  pictures: Array.from({ length: count }, (_, i) => `${jobId}/${i}.png`),
  ...(count > 1 ? { grid: `${jobId}/grid.png` } : {}),
  width: 96,
  height: 64,
  paintMs: 1,
});
const child = (action: RenderRequest['action'], parentCount: number, index: number): RenderRequest => ({
  ...render,
  action,
  count: action.startsWith('vary') ? 4 : 1,
  parent: { jobId: '999999999999999999', index, recipe: { ...recipe, count: parentCount } },
});
const labels = (payload: Payload): string[][] =>
  payload.components.map((row) =>
    row.components.map((b) => ('label' in b && b.label) || ('emoji' in b && b.emoji?.name) || ''),
  );
const en = { locale: 'en-US' };
const done = { ...en, ping: true, fileName: 'x.png' };

describe('the life of a message', () => {
  it('waits, with place and wait', () => {
    const payload = presentQueued({ render, ...en, ahead: 2, waitMs: 40_000 });
    expect(payload.content).toBe(
      '**a fox in the snow --ar 3:2** - <@111111111111111111> (Waiting to start)\n-# 2 jobs ahead of you · about 40 sec',
    );
    expect(labels(payload)).toEqual([['Cancel']]);
    expect(presentQueued({ render, ...en }).content).not.toContain('\n');
  });

  it('waits for a worker, and says that none is there', () => {
    const { content } = presentQueued({ render, locale: 'vi', ahead: 0, nobody: true });
    expect(content).toMatch(/\n-# hiện chưa có máy nào vẽ; việc của bạn vẫn chờ · tiếp theo trong hàng$/);
  });

  it('names its lane while it is painted and after', () => {
    const relaxed = { ...render, lane: 'relax' as const };
    const progress = presentProgress({ render: relaxed, ...en, percent: 31, preview: false });
    expect(progress.content).toMatch(/<@111111111111111111> \(31%\) \(relaxed\)$/);
    expect(presentResult({ render: relaxed, result: resultOf(4), ...done }).content).toMatch(
      /> \(relaxed\)$/,
    );
    expect(presentResult({ render, result: resultOf(4), ...done }).content).toMatch(/>$/);
  });

  it('progresses, with a preview or without', () => {
    const payload = presentProgress({ render, ...en, percent: 31.4, preview: true });
    expect(payload.content).toBe('**a fox in the snow --ar 3:2** - <@111111111111111111> (31%)');
    expect(payload.attachments).toMatchObject([{ id: 0, filename: 'preview.webp' }]);
    expect(presentProgress({ render, ...en, percent: 120, preview: false })).not.toHaveProperty(
      'attachments',
    );
    expect(presentProgress({ render, ...en, percent: 120, preview: false }).content).toContain('(99%)');
  });

  it('becomes a grid', () => {
    const payload = presentResult({ render, result: resultOf(4), ...done });
    expect(payload.content).toBe('**a fox in the snow --ar 3:2** - <@111111111111111111>');
    expect(labels(payload)).toEqual([
      ['U1', 'U2', 'U3', 'U4', '🔄'],
      ['V1', 'V2', 'V3', 'V4'],
    ]);
    expect(payload.allowed_mentions).toEqual({ parse: [], users: [render.user.id] });
    expect(payload.attachments).toEqual([
      { id: 0, filename: 'x.png', description: 'a fox in the snow --ar 3:2' },
    ]);
  });

  it('has buttons for as many pictures as it has, and Enhance under a sketch', () => {
    expect(labels(presentResult({ render, result: resultOf(3), ...done }))).toEqual([
      ['U1', 'U2', 'U3', '🔄'],
      ['V1', 'V2', 'V3'],
    ]);
    const sketch = (count: number) => {
      const result = resultOf(count);
      return { ...result, recipe: { ...result.recipe, draft: true as const } };
    };
    expect(labels(presentResult({ render, result: sketch(4), ...done }))[1]).toEqual([
      'V1',
      'V2',
      'V3',
      'V4',
      'Enhance',
    ]);
    expect(labels(presentResult({ render, result: sketch(1), ...done }))[0]).toContain('Enhance');
    for (const count of [1, 2, 3, 4])
      for (const row of presentResult({ render, result: sketch(count), ...done }).components)
        expect(row.components.length).toBeLessThanOrEqual(5);
  });

  it('becomes one picture, with its seed', () => {
    const payload = presentResult({ render: child('upscale-subtle', 4, 1), result: resultOf(1), ...done });
    expect(payload.content).toBe(
      '**a fox in the snow --ar 3:2** - Image #2 <@111111111111111111>\n-# Seed 8 · 96 × 64 · pocket',
    );
    expect(labels(payload)).toEqual([
      ['Upscale (Subtle)', 'Upscale (Creative)'],
      ['Vary (Subtle)', 'Vary (Strong)', 'Vary (Region)'],
      ['Zoom Out 2x', 'Zoom Out 1.5x', 'Custom Zoom', 'Make Square'],
      ['⬅️', '➡️', '⬆️', '⬇️', '❤️'],
    ]);
    const whole = { ...resultOf(1), repaints: false, reword: true };
    expect(labels(presentResult({ render, result: whole, ...done }))).toEqual([
      ['Upscale (Subtle)', 'Upscale (Creative)'],
      ['Vary (Subtle)', 'Vary (Strong)', 'Reword'],
      ['❤️'],
    ]);
  });

  it.each([
    ['vary-strong', 4, 'Variations (Strong) by <@'],
    ['vary-subtle', 1, 'Variations (Subtle) by <@'],
    ['upscale-subtle', 1, 'Upscaled (Subtle) by <@'],
    ['upscale-creative', 1, 'Upscaled (Creative) by <@'],
    ['vary-region', 1, 'Variations (Region) by <@'],
    ['zoom-out', 1, 'Zoom Out by <@'],
    ['pan-left', 1, 'Pan Left by <@'],
    ['make-square', 1, 'Make Square by <@'],
  ] as const)('%s says so', (action, parentCount, words) => {
    expect(presentQueued({ render: child(action, parentCount, 0), ...en }).content).toContain(words);
  });

  it('fails with words and 🔄, and drops the preview', () => {
    const payload = presentFailure({
      render,
      ...en,
      code: 'deadline',
      params: { seconds: 600 },
      ping: false,
    });
    expect(payload.content).toContain('(Failed)');
    expect(payload.embeds?.[0]?.description).toContain('600 s');
    expect(labels(payload)).toEqual([['Try again']]);
    expect(payload.attachments).toEqual([]);
  });

  it('can be cancelled', () => {
    expect(presentCancelled({ render, ...en })).toMatchObject({ components: [], attachments: [] });
    expect(presentCancelled({ render, locale: 'vi' }).content).toContain('(Đã hủy)');
  });
});

/** Text of every script, with what formats and pings mixed in. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('@everyone', '<@&1>', '[a](https://x.y)', '**', '`', '||', '\\', '\n# ', '\u202e'),
    ),
    { maxLength: 400 },
  )
  .map((pieces) => pieces.join('').slice(0, 6000));

describe('hostile prompts', () => {
  it('stay inside Discord’s limits, on one line, and ping nobody', () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom('en-US', 'vi'), (prompt, locale) => {
        const with_ = { render: { ...render, prompt }, locale };
        for (const payload of [
          presentQueued({ ...with_, ahead: 3, waitMs: 1e6 }),
          presentProgress({ ...with_, percent: 1, preview: true }),
          presentResult({ ...with_, result: resultOf(4), ping: true, fileName: 'x.png' }),
          presentFailure({ ...with_, code: 'failed', params: {}, ping: true }),
          presentCancelled(with_),
        ]) {
          expect(payload.content.length).toBeLessThanOrEqual(2000);
          expect(payload.allowed_mentions.parse).toEqual([]);
          expect(payload.content.split('\n').length).toBeLessThanOrEqual(2);
          expect(payload.content).not.toMatch(/(?<!\\)@(?:everyone|here)/);
          for (const file of payload.attachments ?? [])
            expect(file.description?.length ?? 0).toBeLessThanOrEqual(1024);
          for (const row of payload.components)
            for (const b of row.components)
              expect(parseCustomId((b as { custom_id: string }).custom_id).ok).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('lose no mark to the cut', () => {
    const { content } = presentQueued({ render: { ...render, prompt: '*'.repeat(6000) }, ...en });
    expect(content).toMatch(/^\*\*(?:\\\*)+…\*\* - /);
  });

  it('are escaped', () => {
    expect(escapeMarkdown('[a](https://b.c) `d` <@1> @here ||e|| ~~f~~ \\')).toBe(
      '\\[a\\](https\\://b.c) \\`d\\` \\<\\@1\\> \\@here \\|\\|e\\|\\| \\~\\~f\\~\\~ \\\\',
    );
  });
});

describe('file names', () => {
  it('say who, what and which', () => {
    expect(fileName('Ann Lee', 'a fox, in the snow --ar 3:2', jobId, 'png')).toBe(
      `Ann_Lee_a_fox_in_the_snow_${jobId}.png`,
    );
    expect(fileName('Đỗ', 'một con cáo đỏ', `${jobId}.2`, 'webp')).toBe(`Do_mot_con_cao_do_${jobId}_2.webp`);
    expect(fileName('日本', '雪の中の狐', jobId, 'png')).toBe(`${jobId}.png`);
    expect(fileName('a', `${'x'.repeat(100)}`, jobId, 'png')).toBe(`a_${'x'.repeat(63)}_${jobId}.png`);
  });
});
