import type { IncomingMessage } from 'node:http';

/** Decides which requests to accept, by headers that a web page cannot forge. Programs send no Origin. */

/** Whether an address to listen on is this machine's alone. */
export const isLoopback = (host: string): boolean => /^(localhost$|127\.|::1$)/.test(host);

/** Whether a request names this machine: another name that resolves to 127.0.0.1 is an attack (DNS rebinding). */
export const isOwnName = ({ headers: { host = '' } }: IncomingMessage): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);

/** Whether a request comes from the page itself, not from another site's page in the same browser. */
export const isOwnPage = ({ headers: { host = '', origin } }: IncomingMessage): boolean =>
  origin === undefined || origin === `http://${host}` || origin === `https://${host}`;

/** The requested address; undefined where it is invalid (`//`). */
export const urlOf = ({ url = '/' }: IncomingMessage): URL | undefined =>
  URL.canParse(url, 'http://local') ? new URL(url, 'http://local') : undefined;
