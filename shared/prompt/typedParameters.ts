import type { ModelCard, Params } from '../queue/job.ts';
import type { TypedLora } from './loras.ts';
import type { Finding } from './problems.ts';

/** What the parameters of one prompt say. */
export interface Typed {
  params: Params;
  /** What stood after `--no`, item by item. */
  without: string[];
  srefs: string[];
  /** As they stand; `readLoras` says which of them the model takes. */
  loras: TypedLora[];
  findings: Finding[];
}

export interface Models {
  readonly models?: ReadonlyMap<string, ModelCard> | undefined;
  /** The model of a prompt that names none. */
  readonly fallback?: string | undefined;
}
