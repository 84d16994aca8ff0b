import { readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Models, readModels } from '../../../worker/models/installed.ts';

/** The model that ships: every byte is the one its manifest names, and its card says what was measured on it. */
const root = resolve(import.meta.dirname, '../../../models');
const read = (path: string): string => readFileSync(join(root, 'pocket', path), 'utf8');

interface Report {
  compositions: number;
  shares: Record<string, Record<string, number>>;
  figures: Record<string, number>;
}

describe('pocket', () => {
  let folder: string;
  let models: Models;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dreamgrid-pocket-'));
    models = await readModels(root, join(folder, 'checks.json'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is sound and at most 60 MB', () => {
    expect(models.problems.filter((problem) => problem.includes('pocket'))).toEqual([]);
    expect(models.get('pocket')?.manifest.license).toContain('OFL');
    const { files } = JSON.parse(read('manifest.json')) as { files: Record<string, { bytes: number }> };
    const all = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
    expect(all).toBeGreaterThan(10e6);
    expect(all).toBeLessThan(60e6);
  });

  it('has a card with the very figures of its report', () => {
    const report = JSON.parse(read('evaluate/report.json')) as Report;
    const block = read('README.md').match(/<!-- figures -->\n([\s\S]*)<!-- \/figures -->/)?.[1];
    const rows = (block ?? '')
      .split('\n')
      .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
    const found = new Map(rows.map(([name, ...cells]) => [name, cells]));
    const percent = (share: number): number => 100 * share;
    for (const [name, { of, ...shares }] of Object.entries(report.shares)) {
      const [count, ...cells] = found.get(name) ?? [];
      expect(Number(count), name).toBe(of);
      expect(cells, name).toHaveLength(Object.keys(shares).length);
      for (const [k, share] of Object.values(shares).entries())
        expect(Math.abs(Number.parseFloat(cells[k] as string) - percent(share)), name).toBeLessThan(0.51);
    }
    for (const [name, value] of Object.entries(report.figures)) {
      const said = Number(found.get(name)?.[0]);
      expect(Math.abs(said - value), name).toBeLessThanOrEqual(0.006 * Math.abs(value));
    }
    expect(Object.keys(report.shares).length).toBeGreaterThan(10);
    expect(report.compositions).toBeGreaterThanOrEqual(100);
  });

  it('shows four pictures of each of 48 prompts', () => {
    expect(new Set(read('evaluate/prompts.txt').trim().split('\n')).size).toBe(48);
    expect(read('README.md')).toContain('](contact-sheet.webp)');
    // Width and height of a lossy WebP lie in its first frame header.
    const sheet = readFileSync(join(root, 'pocket', 'contact-sheet.webp'));
    expect(sheet.subarray(8, 16).toString('latin1')).toBe('WEBPVP8 ');
    expect([sheet.readUInt16LE(26) & 0x3fff, sheet.readUInt16LE(28) & 0x3fff]).toEqual([
      3 * (4 * 128 + 8) - 8,
      16 * (128 + 18),
    ]);
    expect(statSync(join(root, 'pocket', 'contact-sheet.webp')).size).toBeLessThan(1e6);
  });
});
