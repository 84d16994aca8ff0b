import type { IncomingMessage } from 'node:http';

/** Who may talk to this port, by what a browser cannot lie about. Programs send no Origin. */

/** Whether an address to listen on is this machine's alone. */
export const isLoopback = (host: string): boolean => /^(localhost$|127\.|::1$)/.test(host);

/** A name that was rebound to 127.0.0.1 is not ours. */
export const isOwnName = ({ headers: { host = '' } }: IncomingMessage): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host);

/** A foreign page in the same browser must not drive this one. */
export const isOwnPage = ({ headers: { host = '', origin } }: IncomingMessage): boolean =>
  origin === undefined || origin === `http://${host}` || origin === `https://${host}`;

/** What was asked for; undefined where it is no address (`//`). */
export const urlOf = ({ url = '/' }: IncomingMessage): URL | undefined =>
  URL.canParse(url, 'http://local') ? new URL(url, 'http://local') : undefined;
