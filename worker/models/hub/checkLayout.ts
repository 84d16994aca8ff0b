import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { StoreError } from './errors.ts';
import { externalData } from './externalData.ts';
import { NETWORKS } from './select.ts';

/**
 * Checks that every file needed for loading is there, whole and inside the folder, without loading weights: a missing
 * `model.onnx_data` is found in milliseconds, not after a minute.
 */
export async function checkLayout(dir: string): Promise<void> {
  const has = (name: string) =>
    stat(join(dir, name)).then(
      (info) => info.isFile(),
      () => false,
    );
  const scheduler = (await has('decoder/model.onnx')) ? 'decoder_scheduler' : 'scheduler';
  for (const name of ['model_index.json', `${scheduler}/scheduler_config.json`]) {
    if (!(await has(name))) throw new StoreError('damaged', `${join(dir, name)} is missing. ${AGAIN}`);
  }
  for (const part of NETWORKS) {
    if (!(await has(`${part}/model.onnx`))) continue;
    if (/^(prior_)?text_encoder/.test(part))
      await checkTokenizer(dir, part.replace('text_encoder', 'tokenizer'), has);
    await checkNetwork(dir, part);
  }
}

const AGAIN = 'Fetch or export the model again.';

async function checkTokenizer(
  dir: string,
  part: string,
  has: (name: string) => Promise<boolean>,
): Promise<void> {
  const whole = await has(`${part}/tokenizer.json`);
  const halves = (await has(`${part}/vocab.json`)) && (await has(`${part}/merges.txt`));
  if (whole || halves) return;
  throw new StoreError(
    'damaged',
    `${join(dir, part)} needs tokenizer.json, or vocab.json and merges.txt. ${AGAIN}`,
  );
}

async function checkNetwork(dir: string, part: string): Promise<void> {
  const base = await realpath(dir);
  for (const [location, bytes] of await externalData(join(dir, part, 'model.onnx'))) {
    const path = join(dir, part, location);
    const real = await realpath(path).catch(() => undefined);
    const info = real === undefined ? undefined : await stat(real);
    if (real === undefined || !info?.isFile()) {
      throw new StoreError('damaged', `${path} is missing: it holds weights of ${part}/model.onnx. ${AGAIN}`);
    }
    if (!real.startsWith(base + sep)) {
      throw new StoreError(
        'unsafe-path',
        `${path} leads out of the model's folder. Put the file itself there.`,
      );
    }
    if (info.size < bytes) {
      throw new StoreError(
        'damaged',
        `${path} is cut short: ${info.size} bytes of at least ${bytes}. ${AGAIN}`,
      );
    }
  }
}
