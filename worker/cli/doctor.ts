import { openStoreAt, placeOf, printPlace } from '../../shared/picture/openStore.ts';
import { probeRedis } from '../../shared/queue/probe.ts';
import { addressOf, checkRedis, connectRedis, producerConnection } from '../../shared/queue/redis.ts';
import { listWorkers } from '../../shared/queue/registry.ts';
import { type Env, readEnv } from '../../shared/service/env.ts';
import { ConfigError, messageOf } from '../../shared/service/errors.ts';
import { redactTokens } from '../../shared/service/log.ts';
import { openDiscord } from '../deliver/discord.ts';
import { needModel, readModels } from '../models/installed.ts';
import { openEngine } from '../process/enginePool.ts';
import { modelsFolder, readArgs, UsageError } from './usage.ts';

const USAGE = 'dreamgrid doctor [--json]';

type Verdict = 'ok' | 'warn' | 'fail' | 'skip';
interface Finding {
  check: string;
  verdict: Verdict;
  text: string;
}

/** Tries each part that the program needs; one line each. Exit code 1 when one fails. */
export async function doctor(args: string[]): Promise<number> {
  const { values, positionals } = readArgs(args, { json: { type: 'boolean' } }, USAGE);
  if (positionals.length > 0) throw new UsageError(`doctor takes no ${positionals[0]}. Usage: ${USAGE}`);
  const findings: Finding[] = [];
  const tell = (finding: Finding): void => {
    findings.push(finding);
    if (!values.json)
      process.stdout.write(`${finding.verdict.padEnd(5)} ${finding.check.padEnd(9)} ${finding.text}\n`);
  };
  const env = readEnv();
  for (const [check, run] of Object.entries(checks)) {
    try {
      for (const { verdict, text } of await run(env)) tell({ check, verdict, text });
    } catch (error) {
      tell({ check, verdict: 'fail', text: redactTokens(messageOf(error)) });
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify(findings, null, 2)}\n`);
  return findings.some(({ verdict }) => verdict === 'fail') ? 1 : 0;
}

type Check = (env: Env) => Promise<{ verdict: Verdict; text: string }[]>;

const checks: Record<string, Check> = {
  node: async () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    const enough = major > 20 || (major === 20 && minor >= 19);
    return [
      {
        verdict: enough ? 'ok' : 'fail',
        text: `${process.versions.node}${enough ? '' : '; needs 20.19 or later'}`,
      },
    ];
  },

  redis: async (env) => {
    const options = producerConnection(env);
    const own = !process.env['REDIS_URL'];
    const redis = await connectRedis(options).catch((error: unknown) => {
      if (!own) throw error;
    });
    if (!redis)
      return [{ verdict: 'skip', text: 'REDIS_URL is not set; `npm start` brings a Redis of its own' }];
    try {
      const began = performance.now();
      await redis.ping();
      const ms = (performance.now() - began).toFixed(1);
      await probeRedis(redis);
      const info = await redis.info('server');
      const version = (/valkey_version:(\S+)/.exec(info) ?? /redis_version:(\S+)/.exec(info))?.[1] ?? '';
      const server = /server_name:(\S+)/.exec(info)?.[1] ?? 'redis';
      const missing = await checkRedis(redis, { production: false, unsafe: false });
      const workers = await listWorkers(redis);
      return [
        {
          verdict: 'ok',
          text: `${server} ${version} at ${addressOf({ options })}, answers in ${ms} ms; writes, scripts and channels work`,
        },
        ...(missing.length > 0
          ? [{ verdict: 'warn' as const, text: `for production: ${missing.join(' · ')}` }]
          : []),
        { verdict: 'ok', text: `${workers.length} worker(s) at work` },
      ];
    } finally {
      redis.disconnect();
    }
  },

  models: async (env) => {
    const root = modelsFolder(env);
    const { all, problems } = await readModels(root);
    return [
      ...all.map(({ name, manifest }) => ({
        verdict: 'ok' as const,
        text: `${name}${name === env.DEFAULT_MODEL ? ' (default)' : ''}: ${manifest.title}, ${Object.keys(manifest.files).length || 'no'} files checked`,
      })),
      ...problems.map((text) => ({ verdict: 'fail' as const, text })),
    ];
  },

  engine: async (env) => {
    const root = modelsFolder(env);
    const model = needModel(await readModels(root), env.DEFAULT_MODEL, root);
    const results = [];
    for (const provider of env.PROVIDERS) {
      const began = performance.now();
      const engine = openEngine({ providers: [provider], threads: env.THREADS, deadlineMs: 60_000 });
      try {
        const info = await engine.load(model);
        const ms = Math.round(performance.now() - began);
        const asked = info.provider.startsWith(provider);
        results.push({
          verdict: (asked ? 'ok' : 'warn') as Verdict,
          text: `${provider}: ${model.name} loads in ${ms} ms${asked ? '' : ` on ${info.provider}`}`,
        });
      } catch (error) {
        results.push({ verdict: 'fail' as const, text: `${provider}: ${messageOf(error).split('\n')[0]}` });
      } finally {
        await engine.close();
      }
    }
    return results;
  },

  discord: async (env) => {
    if (!env.DISCORD_TOKEN)
      return [{ verdict: 'skip', text: 'DISCORD_TOKEN is not set; `npm start` opens the playground' }];
    const discord = openDiscord({ api: env.DISCORD_API, botToken: env.DISCORD_TOKEN, timeoutMs: 10_000 });
    try {
      return [{ verdict: 'ok', text: `the token is ${await discord.whoAmI()}'s` }];
    } catch (error) {
      throw new ConfigError(
        `${env.DISCORD_API}: ${messageOf(error)}. Look at DISCORD_TOKEN and the network.`,
      );
    }
  },

  store: async (env) => {
    const place = placeOf(env);
    const name = printPlace(place);
    const store = await openStoreAt(place, env);
    await store.check();
    await store.remove('check');
    const written = { verdict: 'ok' as const, text: `${name} can be written` };
    if (!(await store.versioned?.())) return [written];
    return [written, { verdict: 'warn', text: `${name} keeps versions: what members erase stays in them` }];
  },
};
