import { describe, expect, it } from 'vitest';
import { useScene } from '../../support/bot.ts';

describe('/compare', { timeout: 120_000 }, () => {
  const scene = useScene();

  const compare = (options: Record<string, string>) =>
    scene.discord.run(scene.discord.users.member, 'compare', options, { locale: 'en-US' });

  it('paints one picture for each sampler, all from one seed', async () => {
    const handle = await compare({ prompt: 'a fox --ar 3:2', samplers: 'ddim, Euler a, dpmpp-2m' });
    const requests = await Promise.all(
      [handle.id, `${handle.id}.1`, `${handle.id}.2`].map((jobId) => scene.requestOf(jobId)),
    );
    expect(requests.map(({ params }) => params.scheduler)).toEqual(['ddim', 'euler-a', 'dpmpp-2m']);
    expect(new Set(requests.map(({ seed }) => seed)).size).toBe(1);
    expect(requests.every(({ count, params }) => count === 1 && params.aspect?.join() === '3,2')).toBe(true);
    expect(requests[1]?.prompt).toMatch(/euler-a/);
    const { seed } = requests[0] as { seed: number };
    for (const { compare } of requests)
      expect(compare).toEqual({
        prompt: `a fox --ar 3:2 --seed ${seed}`,
        labels: ['ddim', 'euler-a', 'dpmpp-2m'],
      });
  });

  it.each([
    [{ prompt: 'a fox' }, 'Nothing to compare'],
    [{ prompt: 'a fox', models: 'pocket' }, 'Nothing to compare'],
    [{ prompt: 'a fox', models: 'pocket, nobody' }, 'Model missing'],
    [{ prompt: 'a fox', samplers: 'ddim, magic' }, 'Invalid prompt'],
    [
      { prompt: 'a fox', samplers: 'ddim, euler, euler-a, dpmpp-2m, dpmpp-2m-karras, pndm, lcm' },
      'Too many at once',
    ],
  ])('%j is answered with %s', async (options, title) => {
    const told = await compare(options as unknown as Record<string, string>);
    expect(told.message?.ephemeral).toBe(true);
    expect(told.message?.embeds[0]?.['title']).toBe(title);
    expect(scene.discord.violations).toEqual([]);
  });
});
