import type { Playground } from '../../playground/index.ts';

/** Plain requests, as any program might send them. */
export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: an answer of the API under test
  body: any;
  headers: Headers;
}

export async function request(
  pg: Playground,
  method: string,
  path: string,
  body?: unknown,
  auth = true,
): Promise<Answer> {
  const form = body instanceof FormData;
  const answer = await fetch(`${pg.api}/v10${path}`, {
    method,
    headers: {
      ...(auth ? { authorization: `Bot ${pg.token}` } : {}),
      ...(body && !form ? { 'content-type': 'application/json' } : {}),
    },
    ...(body === undefined ? {} : { body: form ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : undefined, headers: answer.headers };
}

/** An interaction that waits, with no client connected: the test answers it by hand. */
export async function waiting(
  pg: Playground,
  command = 'imagine',
  options: Record<string, string> = { prompt: 'a fox' },
) {
  if (!pg.commands.some((c) => c.name === command))
    await request(pg, 'PUT', `/applications/${pg.applicationId}/commands`, [
      {
        name: 'imagine',
        description: 'Paint',
        options: [{ type: 3, name: 'prompt', description: 'What', required: true }],
      },
    ]);
  const handle = await pg.run(pg.users.member, command, options, { early: true });
  const callback = (payload: unknown, query = '') =>
    request(pg, 'POST', `/interactions/${handle.id}/${handle.token}/callback${query}`, payload, false);
  const original = (method: string, payload?: unknown) =>
    request(pg, method, `/webhooks/${pg.applicationId}/${handle.token}/messages/%40original`, payload, false);
  const followup = (payload: unknown) =>
    request(pg, 'POST', `/webhooks/${pg.applicationId}/${handle.token}`, payload, false);
  return { handle, callback, original, followup };
}
