import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadTokenizer } from '../../../../worker/engine/text/tokenizer.ts';
import { writeClipTokenizer } from '../../../../worker/models/import/clipTokenizer.ts';
import { data } from './cases.ts';

it.each([
  ['end', 49407],
  ['!', 0],
] as const)(
  "CLIP's own tokenizer, padded with %s, gives the ids that transformers gives",
  async (pad, id) => {
    const folder = await mkdtemp(join(tmpdir(), 'dreamgrid-clip-'));
    try {
      await writeClipTokenizer(folder, pad);
      const tokenizer = loadTokenizer(folder);
      expect(tokenizer).toMatchObject({ begin: 49406, end: 49407, pad: id, length: 77 });
      const { cases } = JSON.parse(await readFile(join(data, 'clip-vectors.json'), 'utf8')) as {
        cases: { text: string; ids: number[] }[];
      };
      expect(cases.length).toBeGreaterThan(10);
      for (const { text, ids } of cases) {
        // What pads is cut out of a text before anything else (see tokenizer.ts): other vectors hold there.
        if (pad === '!' && text.includes('!')) continue;
        expect([49406, ...tokenizer.encode(text), 49407], text).toEqual(ids);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);
