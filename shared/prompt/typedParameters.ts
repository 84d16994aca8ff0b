import type { ModelCard, Params } from '../queue/job.ts';
import type { TypedLora } from './loras.ts';
import type { Finding } from './problems.ts';

/** The parsed parameters of one prompt. */
export interface Typed {
  params: Params;
  /** Items after `--no`. */
  without: string[];
  srefs: string[];
  /** LoRAs as typed; `readLoras` says which of them the model takes. */
  loras: TypedLora[];
  findings: Finding[];
}

export interface Models {
  readonly models?: ReadonlyMap<string, ModelCard> | undefined;
  /** The model of a prompt that names none. */
  readonly fallback?: string | undefined;
}
