import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { envTable, readEnv } from '../../shared/service/env.ts';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Container {
  name: string;
  envFrom?: unknown;
  env?: { name: string }[];
  securityContext: Record<string, unknown>;
  livenessProbe?: { httpGet: { path: string; port: string } };
  readinessProbe: { httpGet?: { path: string } };
  startupProbe?: { httpGet: { path: string } };
  ports?: { name: string; containerPort: number }[];
  args?: string[];
}
interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  data?: Record<string, string>;
  stringData?: Record<string, string>;
  spec: {
    template: {
      spec: {
        terminationGracePeriodSeconds: number;
        securityContext: Record<string, unknown>;
        containers: Container[];
      };
    };
    triggers: { metadata: { query: string } }[];
  };
}
const manifests = parseAllDocuments(read('docs/ops/kubernetes.yml'), { merge: true }).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS() as Manifest;
});
const find = (kind: string, name: string): Manifest =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name) as Manifest;

describe('docs/ops/kubernetes.yml', () => {
  it('sets what there is, to what the processes accept', () => {
    const settings = { ...find('ConfigMap', 'dreamgrid').data, ...find('Secret', 'dreamgrid').stringData };
    const { REDIS_PASSWORD: password, ...known } = settings;
    for (const name of Object.keys(known)) expect(Object.keys(envTable)).toContain(name);
    expect(readEnv(known).STORE).toMatch(/^s3:/);
    expect(known['REDIS_URL']).toContain(`:${password}@redis:6379`);
  });

  it.each(['bot', 'worker'])('%s: probes, rights and time to stop as in the compose file', (name) => {
    const { spec } = find('Deployment', name).spec.template;
    const [container] = spec.containers as [Container];
    expect(container.livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'health' });
    expect(container.startupProbe?.httpGet.path).toBe('/healthz');
    expect(container.readinessProbe.httpGet?.path).toBe('/readyz');
    expect(container.ports).toEqual([
      { name: 'health', containerPort: Number(find('ConfigMap', 'dreamgrid').data?.['HEALTH_PORT']) },
    ]);
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(readEnv({}).SHUTDOWN_S + 10);
  });

  it('Redis keeps what it is given, as in the compose file', () => {
    const [redis] = find('StatefulSet', 'redis').spec.template.spec.containers as [Container];
    const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
      services: { redis: { command: string } };
    };
    for (const part of services.redis.command.match(/--(?:append|max)\S+ \S+/g) ?? [])
      expect(redis.args?.[0]?.replace(/\s+/g, ' ')).toContain(part);
  });

  it('scales by a metric that the bot tells, over states that the queue has', () => {
    const [trigger] = find('ScaledObject', 'worker').spec.triggers;
    const [, metric, lane, states] =
      /^sum\((\w+)\{lane="(\w+)",state=~"([\w|]+)"\}\)$/.exec(trigger?.metadata.query ?? '') ?? [];
    const source = readdirSync(join(root, 'shared/service'))
      .filter((file) => file.startsWith('metrics'))
      .map((file) => read(`shared/service/${file}`))
      .join('\n');
    expect(source).toContain(`name: '${metric}'`);
    expect(lane).toBe('render');
    const known = /const STATES = \[(.+)\]/.exec(source)?.[1] ?? '';
    for (const state of (states as string).split('|')) expect(known).toContain(`'${state}'`);
  });
});
