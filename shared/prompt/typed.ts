import type { ModelCard, Params } from '../queue/job.ts';
import type { Finding } from './problems.ts';

/** What the parameters of one prompt say. */
export interface Typed {
  params: Params;
  /** What stood after `--no`, item by item. */
  without: string[];
  srefs: string[];
  findings: Finding[];
}

export interface Models {
  readonly models?: ReadonlyMap<string, ModelCard> | undefined;
  /** The model of a prompt that names none. */
  readonly fallback?: string | undefined;
}
