import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  boldness,
  detail,
  difference,
  dot,
  mean,
  openStudio,
  type Studio,
  seam,
  spread,
  type Work,
} from './studio.ts';

/**
 * What docs/prompt.md says each parameter does, measured on pocket's pictures. Every painting is fixed by its
 * seed; the thresholds lie well inside of what was measured, so that better weights pass and a parameter that
 * does nothing fails.
 */
const PROMPTS = ['a fox in the snow at night', 'a castle by the lake at sunset'] as const;
const two = { count: 2 };
const one = { count: 1 };

let studio: Studio;
const plain = new Map<string, Work>();
beforeAll(async () => {
  studio = await openStudio();
  for (const prompt of PROMPTS) plain.set(prompt, await studio.paint(prompt));
}, 600_000);
afterAll(() => studio?.close());

const first = (work: Work | undefined) => work?.pictures[0] as Work['pictures'][0];
/** One number for each prompt's pictures, over all prompts. */
const over = async (
  suffix: string,
  measure: (work: Work, prompt: string) => number | Promise<number>,
  pictures = two,
): Promise<number> => {
  const values: number[] = [];
  for (const prompt of PROMPTS)
    values.push(await measure(await studio.paint(`${prompt} ${suffix}`, pictures), prompt));
  return mean(values);
};
const overPlain = (measure: (work: Work) => number): number =>
  mean([...plain.values()].map((work) => measure({ ...work, pictures: work.pictures.slice(0, 2) })));
const all = (measure: (picture: Work['pictures'][0]) => number) => (work: Work) =>
  mean(work.pictures.map(measure));

describe('effects', { timeout: 900_000 }, () => {
  it('the same seed gives the same bytes, in a grid and alone, chaotic or weird', async () => {
    const [prompt] = PROMPTS;
    const grid = await studio.paint(`${prompt} --chaos 40 --weird 400`, two);
    const alone = await studio.paint(`${prompt} --chaos 40 --weird 400`, {
      ...one,
      seed: grid.recipe.seed + 1,
    });
    expect(first(alone)).toEqual(grid.pictures[1]);
    const again = await studio.paint(prompt, one);
    expect(first(again)).toEqual(first(plain.get(prompt)));
  });

  it('--chaos: the four lie further apart', async () => {
    const apart = async ({ pictures }: Work): Promise<number> =>
      spread((await studio.see(pictures)).pictures);
    const before = mean(await Promise.all([...plain.values()].map(apart)));
    const after = await over('--chaos 100', apart, { count: 4 });
    expect(after / before).toBeGreaterThan(1.15);
  });

  it('--stylize: pushed harder, bolder and with more detail; --raw: plainer', async () => {
    const [loose, hard] = [await over('--stylize 0', all(detail)), await over('--stylize 1000', all(detail))];
    expect(hard / loose).toBeGreaterThan(1.1);
    expect(await over('--raw', all(boldness))).toBeLessThan(overPlain(all(boldness)));
  });

  it('--quality: the more steps, the nearer to where they lead', async () => {
    const off: number[][] = [];
    for (const prompt of PROMPTS) {
      const best = first(await studio.paint(`${prompt} --quality 4`, one));
      const paint = async (q: number) => first(await studio.paint(`${prompt} --quality ${q}`, one));
      const pictures = [await paint(0.25), first(plain.get(prompt)), await paint(2)];
      off.push(pictures.map((picture) => difference(picture, best)));
    }
    const [quarter, usual, double] = [0, 1, 2].map((i) => mean(off.map((row) => row[i] as number))) as [
      number,
      number,
      number,
    ];
    expect(usual / quarter).toBeLessThan(0.8);
    expect(double / usual).toBeLessThan(0.8);
  });

  it('--stop: less detail', async () => {
    const stopped = await over('--stop 40', all(detail));
    expect(stopped / overPlain(all(detail))).toBeLessThan(0.85);
  });

  it('--tile: opposite edges meet', async () => {
    const tiled = await over('--tile', all(seam));
    expect(tiled / overPlain(all(seam))).toBeLessThan(0.5);
    expect(tiled).toBeLessThan(4);
  });

  it('--weird: further from the picture, and from the words', async () => {
    const off = (work: Work, prompt: string): number => difference(first(work), first(plain.get(prompt)));
    const [little, much] = [await over('--weird 300', off, one), await over('--weird 1500', off, one)];
    expect(little).toBeGreaterThan(0.5);
    expect(much / little).toBeGreaterThan(1.5);
    const nearness = async ({ pictures }: Work, prompt: string): Promise<number> => {
      const seen = await studio.see(pictures.slice(0, 2), [prompt]);
      return mean(seen.pictures.map((vector) => dot(vector, seen.texts[0] as Float32Array)));
    };
    const before = mean(await Promise.all([...plain].map(([prompt, work]) => nearness(work, prompt))));
    expect(await over('--weird 3000', nearness)).toBeLessThan(before - 0.03);
  });

  it('Vary (Subtle) stays nearer than Vary (Strong), and an upscale stays the picture', async () => {
    const off = { 'vary-subtle': [] as number[], 'vary-strong': [] as number[] };
    for (const prompt of PROMPTS) {
      const work = plain.get(prompt) as Work;
      const parent = { jobId: work.jobId, index: 0, recipe: work.recipe };
      for (const action of ['vary-subtle', 'vary-strong'] as const) {
        const varied = await studio.paint(prompt, { action, parent, seed: 50, ...one });
        off[action].push(difference(first(varied), first(work)));
      }
    }
    expect(mean(off['vary-strong']) / mean(off['vary-subtle'])).toBeGreaterThan(1.15);
  });

  it('--iw: the higher, the nearer to the image', async () => {
    const [prompt, other] = PROMPTS;
    const source = plain.get(other) as Work;
    const key = `${source.jobId}/0.png`;
    const paint = (iw: number) => studio.paint(`${prompt} --iw ${iw}`, { image: { key }, ...one });
    const [low, high] = [first(await paint(0.5)), first(await paint(3))];
    expect(difference(high, first(source))).toBeLessThan(0.8 * difference(low, first(source)));
  });

  it('--sref: a number looks the same on each subject, and unlike another number; --sw says how much', async () => {
    const subjects = ['a fox in a meadow', 'a castle by the lake'];
    const codes = [1, 8, 16];
    const seen = async (typed: string) => {
      const { pictures } = await studio.see((await studio.paint(typed, one)).pictures);
      return pictures[0] as Float32Array;
    };
    // What the style adds to what the image tower sees of the subject; vectors of length one.
    const shifts: { code: number; shift: Float32Array }[] = [];
    for (const subject of subjects) {
      const plainly = await seen(subject);
      for (const code of codes) {
        const styled = await seen(`${subject} --sref ${code}`);
        const off = styled.map((value, i) => value - (plainly[i] as number));
        const length = Math.hypot(...off);
        shifts.push({ code, shift: off.map((value) => value / length) });
      }
    }
    const apart = (same: boolean): number =>
      mean(
        shifts.flatMap((a, i) =>
          shifts
            .slice(i + 1)
            .filter((b) => (a.code === b.code) === same)
            .map((b) => 1 - dot(a.shift, b.shift)),
        ),
      );
    expect(apart(false) / apart(true)).toBeGreaterThan(1.2);

    const [prompt] = PROMPTS;
    const moved = async (sw: number) =>
      difference(first(await studio.paint(`${prompt} --sref 8 --sw ${sw}`, one)), first(plain.get(prompt)));
    expect(await moved(0)).toBe(0);
    expect(await moved(40)).toBeLessThan(await moved(100));
  });

  it('region, pan and zoom leave the kept pixels as they were', async () => {
    const [prompt] = PROMPTS;
    const work = plain.get(prompt) as Work;
    const parent = { jobId: work.jobId, index: 0, recipe: work.recipe };
    const source = first(work);
    const pixel = ({ data, width }: Work['pictures'][0], x: number, y: number) =>
      [0, 1, 2].map((c) => data[3 * (y * width + x) + c]).join();
    const region = first(
      await studio.paint('a rabbit', { action: 'vary-region', cells: 0x0660, parent, ...one }),
    );
    const pan = first(await studio.paint(prompt, { action: 'pan-right', parent, ...one }));
    let changed = 0;
    for (let y = 0; y < 128; y++)
      for (let x = 0; x < 128; x++) {
        const inside = x >= 32 && x < 96 && y >= 32 && y < 96;
        const kept = pixel(region, x, y) === pixel(source, x, y);
        if (!inside) expect(kept, `region ${x},${y}`).toBe(true);
        else if (!kept) changed++;
        if (x < 112) expect(pixel(pan, x, y), `pan ${x},${y}`).toBe(pixel(source, x, y));
      }
    expect(changed / 64 ** 2).toBeGreaterThan(0.5);
    expect([pan.width, pan.height]).toEqual([192, 128]);
  });
});
