/** LoRAs and textual inversions as diffusers and PEFT apply them. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadModel } from '../../../../worker/engine/index.ts';
import { readSafetensors } from '../../../../worker/models/import/safetensors.ts';
import { meanDifference, readPicture } from '../../../support/reference.ts';
import { type Case, casesOf, data } from '../../models/import/cases.ts';
import { installed, lora, readExpected } from './setup.ts';

interface Adapted extends Case {
  readonly loras?: readonly { readonly file: string; readonly weight: number }[];
  readonly embeddings?: readonly { readonly file: string; readonly token: string }[];
}

for (const folder of ['lora', 'embeddings'])
  for (const family of new Set(casesOf(folder).map(({ model }) => model.split('/')[1]!)))
    describe(`${folder} on ${family}`, () => {
      const place = installed(family);
      for (const one of casesOf(folder) as Adapted[])
        if (one.model.split('/')[1] === family)
          it(one.name, async () => {
            const model = await loadModel(place.dir, { threads: 1 });
            const source = await readPicture(join(data, folder, `expected/${one.name}-source.png`)).catch(
              () => undefined,
            );
            try {
              const { pictures } = await model.generate({
                prompt: one.prompt,
                ...(one.negative === null ? {} : { negative: one.negative }),
                emphasis: false,
                seeds: [one.seed],
                width: one.width,
                height: one.height,
                steps: one.steps,
                guidance: one.guidance,
                scheduler: { config: one.scheduler_config },
                loras: [await Promise.all((one.loras ?? []).map(({ file, weight }) => lora(file, weight)))],
                embeddings: await Promise.all(
                  (one.embeddings ?? []).map(async ({ file, token }) => ({
                    token,
                    source: await readSafetensors(join(data, file)),
                  })),
                ),
                ...(source ? { init: { image: source, strength: one.strength! } } : {}),
              });
              expect(meanDifference(pictures[0]!.data, readExpected(folder, one.expected))).toBeLessThan(
                1e-5,
              );
            } finally {
              await model.release();
            }
          });
    });
