import type { Presenter } from '../../world/objects.ts';
import type { World } from '../../world/state.ts';
import type { FileUpload, Json } from '../../world/types.ts';
import type { Gateway } from '../gateway.ts';
import type { Interactions } from '../interactions.ts';

/** One request on its way through a route. */
export interface Call {
  presenter: Presenter;
  world: World;
  gateway: Gateway;
  interactions: Interactions;
  attachmentLimit: number;
  method: string;
  path: string;
  params: string[];
  query: URLSearchParams;
  body: unknown;
  files: Map<number, FileUpload>;
  /** Notes what Discord ignores but a careful bot would not send. */
  note(kind: 'unknown-field' | 'ping' | 'unlisted-file', detail: string): void;
}

export interface Answer {
  status: number;
  body?: unknown;
}

export interface Route {
  method: string;
  path: RegExp;
  /** Callbacks and webhooks carry their token in the path and need no bot token. */
  open?: boolean;
  handle(call: Call): Answer;
  /** Discord's schema name of the answer, by which the tests check every answer. */
  reply?: string;
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown): Answer => ({ status: 201, body });
export const nothing = (): Answer => ({ status: 204 });

export function noteUnknown(call: Call, unknown: string[]): void {
  for (const field of unknown) call.note('unknown-field', field);
}

export type Body = Json;
