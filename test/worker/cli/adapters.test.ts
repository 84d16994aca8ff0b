import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { readEmbeddingArgument, readLoraArgument } from '../../../worker/cli/adapterArguments.ts';
import { render } from '../../../worker/cli/render.ts';
import { meanDifference } from '../../support/reference.ts';
import { installed, readExpected } from '../engine/adapters/setup.ts';
import { casesOf, data } from '../models/import/cases.ts';

const kohya = join(data, 'lora/sd15/kohya.safetensors');

describe('dreamgrid render --lora --embedding', () => {
  const place = installed('sd15');
  it('takes several of each, and paints what diffusers paints', async () => {
    const one = casesOf('lora').find(({ name }) => name === 'sd15-two')!;
    const said: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
    const code = await render([
      ...['--model-dir', place.dir, '--prompt', one.prompt, '--negative', one.negative ?? ''],
      ...['--seed', `${one.seed}`, '--steps', `${one.steps}`, '--guidance', `${one.guidance}`],
      ...['--width', `${one.width}`, '--height', `${one.height}`, '--threads', '1', '--raw'],
      ...['--scheduler-config', JSON.stringify(one.scheduler_config), '--out', join(place.work, 'out')],
      ...['--lora', `${kohya}:0.7`, '--lora', `${join(data, 'lora/sd15/diffusers.safetensors')}:0.5`],
      ...['--embedding', `unused=${join(data, 'embeddings/sd15-a1111.safetensors')}`],
    ]);
    vi.restoreAllMocks();
    expect(code).toBe(0);
    expect(said.at(-1)).toContain('images.f32');
    const painted = readExpected(place.work, 'out/images.f32');
    expect(meanDifference(painted, readExpected(join(data, 'lora'), one.expected))).toBeLessThan(1e-4);
  });

  it('says what an argument should be', async () => {
    expect((await readLoraArgument(`${kohya}:-0.25`)).weight).toBe(-0.25);
    expect((await readLoraArgument(kohya)).weight).toBe(1);
    await expect(readLoraArgument(`${kohya}:much`)).rejects.toThrow('is not FILE:W, a file and a number');
    await expect(readLoraArgument('nowhere.safetensors:1')).rejects.toThrow('cannot be read');
    await expect(readEmbeddingArgument('word')).rejects.toThrow('is not TOKEN=FILE, a word and a file');
  });
});
