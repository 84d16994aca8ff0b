import { release, reserve, started } from '../../shared/queue/fairness.ts';
import { addJob, openDeliverWorker, openQueues, openRenderWorker } from '../../shared/queue/queue.ts';
import { workerConnection } from '../../shared/queue/redis.ts';
import { conduct } from '../cluster/conduct.ts';
import { makeJob, snowflake } from '../support/jobs.ts';
import { whyNoNetwork } from '../support/network.ts';
import { startRedis } from '../support/redis.ts';

/** A grid of this many steps of this length: an 1.6 s picture on a GPU that is not on this machine. */
const STEP_MS = Number(process.env['CLUSTER_STEP_MS'] ?? 400);
const STEPS = 4;
/** Grids for each figure. */
const GRIDS = Number(process.env['CLUSTER_GRIDS'] ?? 20);
const CUT_MS = 60_000;
const QUEUE_JOBS = 4_000;

/** Many machines in network namespaces, and how far one Redis goes. */
export async function benchCluster(): Promise<void> {
  await benchRedis();
  const why = whyNoNetwork();
  if (why) return console.log(`\nMany machines: skipped, ${why}.`);
  const { asked, grids, wrong, figures } = await conduct({ stepMs: STEP_MS, cutMs: CUT_MS, scaling: GRIDS });
  const one = figures['grids a minute, 1 worker'] as number;
  console.log(`\n### Seven machines, a grid ${STEP_MS} ms × ${STEPS} steps\n`);
  console.log('| | | share of linear |\n|---|---|---|');
  for (const [name, value] of Object.entries(figures)) {
    const workers = Number(/minute, (\d)/.exec(name)?.[1]);
    const share = workers ? `${((100 * value) / (one * workers)).toFixed(0)} %` : '';
    console.log(`| ${name} | ${value} | ${share} |`);
  }
  console.log(`| asked for, one grid each | ${asked}, ${grids} | |`);
  for (const line of wrong) console.log(`wrong: ${line}`);
}

/**
 * The whole way of a job through the queue (place, flow of two, start, result, posting, release) with nothing painted
 * or posted. Redis is one thread: what it spends on a job says how many it can carry, whatever else these cores do.
 */
async function benchRedis(): Promise<void> {
  const redis = await startRedis();
  const connection = workerConnection(redis.url);
  const queues = openQueues(connection);
  const { client } = redis;
  let left = QUEUE_JOBS;
  let finish = (): void => undefined;
  const finished = new Promise<void>((done) => {
    finish = done;
  });
  const renders = Array.from({ length: 10 }, () =>
    openRenderWorker(connection, async ({ data }) => {
      await started(client, data.jobId);
      return { jobId: data.jobId } as never;
    }),
  );
  const deliver = openDeliverWorker(connection, async ({ data }) => {
    await release(client, data.render.user.id, data.render.jobId);
    if (--left === 0) finish();
  });
  const cpu = async (): Promise<number> => {
    const text = await client.info('cpu');
    const read = (name: string): number => Number(new RegExp(`${name}:(\\S+)`).exec(text)?.[1]);
    return read('used_cpu_sys_main_thread') + read('used_cpu_user_main_thread');
  };
  try {
    const before = await cpu();
    const began = performance.now();
    for (const worker of [...renders, deliver]) void worker.run();
    const users = Array.from({ length: 200 }, snowflake);
    for (let i = 0; i < QUEUE_JOBS; i += 50)
      await Promise.all(
        Array.from({ length: 50 }, async (_, k) => {
          const id = users[(i + k) % users.length] as string;
          const job = makeJob({ user: { id, name: 'somebody' } });
          const place = await reserve(client, {
            userId: id,
            jobId: job.render.jobId,
            maxPerUser: 1_000,
            maxAll: 100_000,
          });
          await addJob(queues, job, place.ok ? place.priority : 1);
        }),
      );
    await finished;
    const seconds = (performance.now() - began) / 1000;
    const each = ((await cpu()) - before) / QUEUE_JOBS;
    console.log('| one Redis, ten workers that paint nothing | |\n|---|---|');
    console.log(
      `| jobs a second here, all processes on these cores | ${(QUEUE_JOBS / seconds).toFixed(0)} |`,
    );
    console.log(`| time of its one thread for a job | ${(each * 1e3).toFixed(2)} ms |`);
    console.log(`| jobs a second at 70 % of that thread | ${(0.7 / each).toFixed(0)} |`);
    console.log(`| GPUs that this feeds, a grid of 4 s each | ${((0.7 / each) * 4).toFixed(0)} |`);
  } finally {
    await Promise.allSettled([...renders, deliver].map((worker) => worker.close(true)));
    await queues.close();
    await redis.close();
  }
}
