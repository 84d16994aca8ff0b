/** Our own network in two halves says what it says whole, and is asked for nothing twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDenoiser } from '../../../../worker/engine/latents/denoiser.ts';
import type { DenoiserRow } from '../../../../worker/engine/latents/denoiserRows.ts';
import { createGenerator } from '../../../../worker/engine/latents/rng.ts';
import { makeStepDenoiser } from '../../../../worker/engine/latents/stepDenoiser.ts';
import { openForm } from '../../../../worker/engine/onnx/ownSession.ts';
import { openSession, type Session, type Value } from '../../../../worker/engine/onnx/session.ts';
import { importModel } from '../../../../worker/models/import/importModel.ts';
import { data } from '../../models/import/cases.ts';

const settings = { providers: ['cpu'], threads: 1 };
const noLoras = {
  text: () => Promise.reject(new Error('no LoRA here')),
  step: () => Promise.reject(new Error('no LoRA here')),
};

let models: string;
beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'dreamgrid-step-'));
});
afterAll(() => rm(models, { recursive: true, force: true }));

/** Counts what a session is asked. */
function counted(session: Session): { session: Session; asked: Record<string, Value>[] } {
  const asked: Record<string, Value>[] = [];
  const run: Session['run'] = (feeds, fetch) => {
    asked.push({ ...feeds });
    return session.run(feeds, fetch);
  };
  return { session: { ...session, run }, asked };
}

describe.each(['sd15', 'sd15-fp16', 'inpaint', 'lcm', 'sdxl-sharded'])('%s', (name) => {
  let whole: Session;
  let step: Session;
  let text: Session;
  beforeAll(async () => {
    await importModel(models, join(data, `folders/${name}/model`), name);
    const folder = join(models, name, 'unet');
    whole = await openSession(join(folder, 'model.onnx'), { ...settings, own: true, asIs: true });
    step = await openForm(folder, 'step', settings);
    text = await openForm(folder, 'text', settings);
  });
  afterAll(async () => {
    for (const session of [whole, step, text]) await session.release();
  });

  it('guided, unguided and other texts in one call: the whole network, bit for bit', async () => {
    const reference = makeDenoiser(whole);
    const halves = { step: counted(step), text: counted(text) };
    const denoiser = makeStepDenoiser({ step: halves.step.session, text: halves.text.session }, noLoras);
    expect(denoiser).toMatchObject({
      inChannels: reference.inChannels,
      outChannels: reference.outChannels,
      hiddenWidth: reference.hiddenWidth,
      extraInputs: reference.extraInputs,
    });
    expect([...denoiser.inputs].sort()).toEqual([...reference.inputs].sort());
    const noise = createGenerator(5);
    const texts = Array.from({ length: 3 }, () => noise.randn(77 * reference.hiddenWidth!));
    const samples = Array.from({ length: 3 }, () => noise.randn(reference.inChannels! * 8 * 8));
    const extrasOf = (): Record<string, Float32Array> =>
      Object.fromEntries(
        reference.extraInputs.map((input) => {
          const width = whole.inputs.get(input)!.shape[1];
          return [input, noise.randn(typeof width === 'number' ? width : 6)];
        }),
      );
    // LCM's guidance goes with the picture, SDXL's summary with the text.
    const extras = name === 'lcm' ? samples.map(extrasOf) : texts.map(extrasOf);
    const row = (picture: number, said: number, only = false): DenoiserRow => ({
      sample: samples[picture]!,
      timestep: [981, 500, 20][picture]!,
      hidden: texts[said]!,
      tokens: 77,
      extras: extras[name === 'lcm' ? picture : said]!,
      only,
    });
    const rows = [row(0, 0), row(1, 0), row(0, 1), row(1, 2), row(2, 1, true)];
    const expected = [];
    for (const each of rows) expected.push((await reference.predict([each], 8, 8))[0]!);
    expect(await denoiser.predict(rows, 8, 8)).toEqual(expected);
    expect(await denoiser.predict([rows[3]!, rows[0]!], 8, 8)).toEqual([expected[3], expected[0]]);

    // Three texts were read once each; a guided picture went in once, but for SDXL's, which carries its text.
    expect(halves.text.asked.map(({ encoder_hidden_states: hidden }) => hidden!.data)).toEqual(texts);
    const pictures = halves.step.asked.map(({ sample }) => sample!.dims[0]);
    expect(pictures).toEqual(name.startsWith('sdxl') ? [5, 2] : [3, 2]);
  });
});
