import type { Asker } from './app.ts';

/** Asked before anything is queued. @throws UserError('banned') to refuse. */
export type Moderate = (prompt: string, asker: Asker) => Promise<void>;

/** A server without a list of its own refuses nothing. */
export const allowAll: Moderate = async () => undefined;
