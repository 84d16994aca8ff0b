import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as Discord would get it. */
export interface Recorded {
  method: string;
  path: string;
  authorization: string | undefined;
  body: Record<string, unknown>;
  files: { name: string; type: string; bytes: Buffer }[];
  at: number;
}

export type Answer =
  | { status: number; body?: unknown; headers?: Record<string, string> }
  | 'hang'
  | 'reset'
  | 'lose';

/**
 * Discord's REST side reduced to what a narrow port needs to be tried on: it records, and answers as told. The
 * playground is the strict one; this one can lose an answer, hang and break a connection at will.
 */
export interface Recorder {
  api: string;
  requests: Recorded[];
  /** Decides the answer; undefined = 200. */
  answer: (request: Recorded) => Answer | undefined;
  /** Resolves with the first request, past or future, that matches. */
  saw(match: (request: Recorded) => boolean, deadlineMs?: number): Promise<Recorded>;
  close(): Promise<void>;
}

export async function startRecorder(): Promise<Recorder> {
  const requests: Recorded[] = [];
  const waiting = new Set<(request: Recorded) => void>();
  const recorder: Recorder = {
    api: '',
    requests,
    answer: () => undefined,
    saw: (match, deadlineMs = 60_000) =>
      new Promise((found, reject) => {
        const past = requests.find(match);
        if (past) return found(past);
        const timer = setTimeout(() => {
          waiting.delete(look);
          const seen = requests.map(({ method, path, body }) => `${method} ${path} ${body['content']}`);
          reject(new Error(`no such request within ${deadlineMs} ms; saw:\n${seen.join('\n')}`));
        }, deadlineMs);
        const look = (request: Recorded): void => {
          if (!match(request)) return;
          waiting.delete(look);
          clearTimeout(timer);
          found(request);
        };
        waiting.add(look);
      }),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
  const server = createServer((request, response) => {
    void handle(request, response);
  });
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const recorded = await record(request);
    requests.push(recorded);
    const isList = recorded.method === 'GET' && recorded.path.includes('/messages?');
    const usual: Exclude<Answer, string> = { status: 200, body: isList ? [] : { id: '1100000000000000001' } };
    const answer = recorder.answer(recorded) ?? usual;
    for (const look of [...waiting]) look(recorded);
    if (answer === 'hang') return;
    if (answer === 'reset' || answer === 'lose') return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {}));
  };
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  recorder.api = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api`;
  return recorder;
}

async function record(request: IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const type = request.headers['content-type'] ?? '';
  const recorded: Recorded = {
    method: request.method ?? '',
    path: request.url ?? '',
    authorization: request.headers.authorization,
    body: {},
    files: [],
    at: performance.now(),
  };
  if (type.startsWith('application/json')) recorded.body = JSON.parse(bytes.toString('utf8'));
  if (type.startsWith('multipart/form-data')) {
    const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
    recorded.body = JSON.parse(String(form.get('payload_json')));
    for (const [field, value] of form) {
      if (!(value instanceof File) || !/^files\[\d\]$/.test(field)) continue;
      recorded.files.push({
        name: value.name,
        type: value.type,
        bytes: Buffer.from(await value.arrayBuffer()),
      });
    }
  }
  return recorded;
}
