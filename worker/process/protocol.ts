import type {
  BatchOptions,
  Embeddings,
  GenerateRequest,
  LoadOptions,
  Meaning,
  ModelInfo,
  Stage,
} from '../engine/types.ts';
import type { Pixels } from '../paint/pixels.ts';

/** Messages between the parent and the engine process: structured clones, pictures as bytes. */
export type Ask =
  | { kind: 'load'; dir: string; options: PlainLoadOptions }
  | { kind: 'generate'; request: PaintRequest; previewEveryMs: number }
  | { kind: 'upscale'; picture: Pixels; factor: 2 | 4 }
  | { kind: 'check'; picture: Pixels }
  | { kind: 'embed'; texts: readonly string[]; pictures: readonly Pixels[] };

/** Load options without those that cannot be cloned. */
export type PlainLoadOptions = Omit<LoadOptions, 'onProgress' | 'batch'> & {
  batch?: Pick<BatchOptions, 'together' | 'mostRows'>;
  /** Measures how many rows a call may have, where the device's free memory can be asked. */
  measure?: boolean;
};

export type ToChild = { id: number; ask: Ask } | { id: number; abort: true };

/** The engine's request with 8-bit pictures, so that a stored PNG and a fresh picture are the same. */
export type PaintRequest = Omit<
  GenerateRequest,
  'init' | 'mask' | 'check' | 'meaning' | 'loras' | 'embeddings'
> & {
  /** By file, which the child reads; the same LoRAs for all pictures. */
  loras?: readonly { file: string; sha256: string; weight: number }[];
  embeddings?: readonly { token: string; file: string; sha256: string }[];
  init?: {
    image?: Pixels;
    images?: readonly Pixels[];
    weights?: readonly number[];
    latents?: readonly Float32Array[];
    strength: number;
  };
  /** Of the request's size: 255 = painted anew, 0 = kept, between = kept at first (see the engine's softMask). */
  mask?: Uint8Array;
  meaning?: Omit<Meaning, 'pictures'> & { readonly pictures: readonly Pixels[] };
};

export interface StepNews {
  step: number;
  steps: number;
  /** Set by models that paint in stages. */
  stage?: Stage;
  /** At latent resolution, or full size where the model has a tiny decoder; only every `previewEveryMs`. */
  previews?: Pixels[];
  /** A LoRA's name, while it is merged into weights; `step` is 0 then. */
  preparing?: string;
}

/** While a model is loaded: the part that is loaded next, and the number of parts. */
export interface LoadNews {
  part: string;
  index: number;
  total: number;
}

export interface Painted {
  pictures: Pixels[];
  latents: Float32Array[];
  latentShape: [number, number, number];
  flagged?: boolean[];
  /** Milliseconds in the engine. */
  ms: number;
}

/** `mostRows`: rows of native size in one call, where that was measured. */
export type LoadedInfo = ModelInfo & { mostRows?: number };

export interface Answers {
  load: LoadedInfo;
  generate: Painted;
  upscale: Pixels;
  check: boolean;
  embed: Embeddings;
}

export type FromChild =
  | { kind: 'called'; rows: number }
  | { kind: 'halved'; mostRows: number }
  | { id: number; kind: 'loading'; news: LoadNews }
  | { id: number; kind: 'step'; news: StepNews }
  | { id: number; kind: 'picture'; picture: Pixels }
  | { id: number; kind: 'done'; answer: unknown }
  | { id: number; kind: 'failed'; code: string; message: string; stack?: string | undefined };
