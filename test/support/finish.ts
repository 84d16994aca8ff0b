import sharp from 'sharp';
import { fileName, presentFailure, presentResult } from '../../shared/picture/jobMessage.ts';
import { withRecipe } from '../../shared/picture/png.ts';
import type { Recipe } from '../../shared/picture/recipe.ts';
import { resolveRecipe } from '../../shared/picture/resolve.ts';
import type { DeliverJob, ModelCard, RenderResult } from '../../shared/queue/job.ts';
import { keys } from '../../shared/queue/redis.ts';
import { openDiscord } from '../../worker/deliver/discord.ts';
import { pocket, type Scene } from './bot.ts';

/** What a worker does at the end, without the painting: recipe kept, message edited, recipe in the file. */
export async function finish(
  scene: Scene,
  jobId: string,
  card: ModelCard = pocket,
): Promise<{ messageId: string; recipe: Recipe }> {
  const { job, token, messageId } = await jobOf(scene, jobId);
  const { render, deliver } = job;
  const recipe = resolveRecipe(render, card);
  await scene.redis.client.set(keys.recipe(jobId), JSON.stringify(recipe));
  const { width, height, count } = recipe;
  const png = await sharp({ create: { width, height, channels: 3, background: '#886644' } })
    .png()
    .toBuffer();
  const name = fileName(render.user.name, render.prompt, jobId, 'png');
  const result: RenderResult = {
    v: 1,
    jobId,
    recipe,
    pictures: Array.from({ length: count }, (_, i) => `${jobId}/${i}.png`),
    width,
    height,
    paintMs: 1,
  };
  await openDiscord({ api: scene.discord.api, botToken: undefined }).edit(
    { by: 'token', applicationId: deliver.applicationId, token },
    {
      body: presentResult({ render, result, locale: deliver.locale, ping: true, fileName: name }),
      file: { name, bytes: withRecipe(png, recipe), type: 'image/png' },
    },
  );
  return { messageId, recipe };
}

/** The other end. */
export async function finishBadly(scene: Scene, jobId: string): Promise<string> {
  const { job, token, messageId } = await jobOf(scene, jobId);
  const { render, deliver } = job;
  await openDiscord({ api: scene.discord.api, botToken: undefined }).edit(
    { by: 'token', applicationId: deliver.applicationId, token },
    { body: presentFailure({ render, locale: deliver.locale, code: 'engine', params: {}, ping: true }) },
  );
  return messageId;
}

async function jobOf(
  scene: Scene,
  jobId: string,
): Promise<{ job: DeliverJob; token: string; messageId: string }> {
  await scene.bot.logged((event) => event['msg'] === 'queued' && event['jobId'] === jobId);
  const job = (await scene.deliver(jobId)) as DeliverJob;
  const token = (await scene.redis.client.get(keys.token(jobId))) as string;
  const messageId = await scene.messageOf(jobId);
  return { job, token, messageId };
}
