/** The engine's public types. */
import type { EmbeddingUse, LoraUse } from './adapters/index.ts';

export type { EmbeddingUse, LoraUse, StoredTensor, TensorSource } from './adapters/index.ts';

/** Height × width × RGB, 0..1. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A linear map from latent channels to RGB: colour = latents · factors + bias, in -1..1. */
export interface LatentRgb {
  readonly factors: readonly (readonly [number, number, number])[];
  readonly bias?: readonly [number, number, number];
}

export interface LoadOptions {
  /** Execution providers in order of preference; ['cpu'] where left out. */
  readonly providers?: readonly string[];
  /** Threads of one model call; the physical cores where left out. */
  readonly threads?: number;
  readonly latentRgb?: LatentRgb;
  /** Where left out, `upscaler/model.onnx` in the model's folder, if there is one. */
  readonly upscaler?: { readonly path: string; readonly scale: number };
  /** Where left out, `image_encoder/model.onnx` in the model's folder, if there is one. */
  readonly imageEncoder?: {
    readonly path: string;
    readonly size: number;
    readonly mean: readonly number[];
    readonly std: readonly number[];
  };
  /** false: the model's safety checker is not loaded. */
  readonly safetyChecker?: boolean;
  /** Bytes of disk in the model's folder for weights with merged LoRAs; 16 GB where left out. */
  readonly overlayBytes?: number;
  /** Steps of models that paint in stages; 25, 4 and 7 where left out, as in diffusers. */
  readonly stages?: {
    readonly prior?:
      | { readonly steps?: number | undefined; readonly guidance?: number | undefined }
      | undefined;
    readonly superRes?: { readonly steps?: number | undefined } | undefined;
  };
  /** How several generations at the same time share the network. */
  readonly batch?: BatchOptions;
  readonly onProgress?: (part: string, index: number, total: number) => void;
}

export interface BatchOptions {
  /**
   * Whether their rows share a call. Where left out: on a GPU, where a call of many rows takes little longer than
   * one of few, and not on the processor, where it gains nothing. false keeps every picture exactly as it is alone on
   * a GPU too: there the rounding of a call depends on its number of rows.
   */
  readonly together?: boolean;
  /** Rows of the model's native size in one call; no limit where left out. A guided picture has two. */
  readonly mostRows?: number;
  /** Called with the number of rows before each call; what it throws, the call throws. */
  readonly onCall?: (rows: number) => void | Promise<void>;
  /** Called when memory ran out and the step was repeated with half of the rows, which is the limit from then on. */
  readonly onHalved?: (mostRows: number) => void;
}

export interface PromptPart {
  readonly text: string;
  readonly weight: number;
}

export interface GenerateRequest {
  /** Parts are blended by weight; their sum does not matter, a negative weight pushes away. */
  readonly prompt: string | readonly PromptPart[];
  /** Left out, SDXL's unconditional embedding is zeros, where the model says so; '' is the empty text, encoded. */
  readonly negative?: string;
  /** One for each picture, which is painted as torch.Generator('cpu').manual_seed(seed) paints it alone. */
  readonly seeds: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number | readonly number[];
  /** LoRAs: one list for all pictures, or one for each. */
  readonly loras?: readonly (readonly LoraUse[])[];
  /** Words in prompt and negative that stand for vectors. */
  readonly embeddings?: readonly EmbeddingUse[];
  readonly scheduler?: { readonly name?: string; readonly config?: Readonly<Record<string, unknown>> };
  /** Reads (word:1.2), [word] and BREAK; true where left out. */
  readonly emphasis?: boolean;
  readonly init?: {
    /** Of the request's size; several are blended as latents. */
    readonly image?: Picture;
    readonly images?: readonly Picture[];
    /** One for each of `images`, above 0; equal where left out. */
    readonly weights?: readonly number[];
    /** Final latents of earlier pictures (GenerateResult.latents): one for all, or one for each. */
    readonly latents?: readonly Float32Array[];
    /** 0..1: how much of the schedule is run again. */
    readonly strength: number;
  };
  /** Of the request's size; from 0.5 on repainted, below kept. Needs `init`. */
  readonly mask?: Picture | Float32Array;
  /**
   * A mask value between 0 and 1 is kept at first and painted later: a value of m from the moment on when 1 - m of the
   * steps are done, so that old and new blend. Not for networks with mask channels.
   */
  readonly softMask?: boolean;
  /** 0..1: the fraction of the schedule after which to stop and show the picture as predicted there. */
  readonly stop?: number;
  /** Whether the picture's opposite edges fit together. */
  readonly tile?: boolean;
  /** Perturbs the prompt's embedding, by 0..1. */
  readonly noise?: { readonly perturb?: number; readonly seed?: number };
  /** 0..1: the share of every picture's start noise that comes from the first seed. */
  readonly sharedNoise?: number;
  /** Most pictures in one model call; all where left out. */
  readonly maxBatch?: number;
  /** 'tiny' decodes the final pictures with the tiny decoder, where the model has one: a draft. */
  readonly decoder?: 'full' | 'tiny';
  /** false skips the safety checker, where the caller checks the finished picture itself. */
  readonly check?: boolean;
  /** DDIM's eta and TCD's gamma. */
  readonly eta?: number;
  /** The first stage of models with a picture embedding: from words to an embedding. */
  readonly prior?: { readonly steps?: number | undefined; readonly guidance?: number | undefined };
  /** Their last stage: from the small picture to the large one. */
  readonly superRes?: { readonly steps?: number | undefined };
  /** Pictures that the embedding is made of, beside the prompt or instead of it (ModelInfo.imageConditioned). */
  readonly meaning?: Meaning;
}

/** A picture embedding made of pictures and words: Ramesh et al., "unCLIP" (2022), section 3. */
export interface Meaning {
  readonly pictures: readonly Picture[];
  /** One for each picture, 0 or more; equal where left out. */
  readonly weights?: readonly number[];
  /** The weight of the prior's embedding of the prompt; where left out or 0 no prior runs. */
  readonly text?: number;
  /**
   * 'spherical', where left out: by the angle between two embeddings, by the mean direction of more, at their mean
   * length. 'sum': the plain weighted sum, as KandinskyV22PriorPipeline.interpolate.
   */
  readonly mix?: 'spherical' | 'sum';
  /** Turns the embedding from one text towards the other, by 0..1 of the angle; a strength for each picture. */
  readonly reword?: { readonly from: string; readonly to: string; readonly strengths: readonly number[] };
  /** Starts the decoder from the noise that the first picture inverts to, so that its layout stays. */
  readonly keepLayout?: boolean;
}

export type Stage = 'prior' | 'decoder' | 'super-resolution';

export interface Step {
  /** Model calls done, from 1. */
  readonly step: number;
  readonly steps: number;
  /** Set by models that paint in stages; steps are counted through all stages. */
  readonly stage?: Stage;
  /**
   * Every picture as predicted at this step, by the linear map, at latent resolution; computed when called. [] while a
   * prior runs: an embedding cannot be shown.
   */
  preview(): Picture[];
  /** The pictures at full size by the tiny decoder, where the model has one. */
  decodePreview?(): Promise<Picture[]>;
}

export interface GenerateResult {
  readonly pictures: Picture[];
  /** Channels × height × width, as the sampler left them: what `init.latents` takes. */
  readonly latents: Float32Array[];
  readonly latentShape: [number, number, number];
  /** The embeddings that the decoder painted; of models with a picture embedding. */
  readonly imageEmbeddings?: Float32Array[];
  /** One for each picture, where the model has a safety checker. */
  readonly flagged?: boolean[];
  readonly timings: {
    readonly encodeMs: number;
    readonly stepMs: number[];
    readonly decodeMs: number;
    /** Milliseconds inside ONNX Runtime; the rest is the engine's own time. */
    readonly runMs: number;
  };
}

export interface ModelInfo {
  readonly family: string;
  /** Pixels of a side of the pictures that the model was trained on. */
  readonly nativeSize: number;
  /** Width and height must be multiples of this. */
  readonly multiple: number;
  readonly latentChannels: number;
  /** Pixels per latent pixel. */
  readonly latentFactor: number;
  readonly scheduler: string;
  readonly predictionType: string;
  readonly inputs: readonly string[];
  /** The execution provider in use. */
  readonly provider: string;
  /** Preferred providers that could not be started, each with the reason. */
  readonly providersMissing: readonly string[];
  /** Whether an optimised file was opened (see optimised.ts). */
  readonly optimised: boolean;
  readonly inpaint: boolean;
  readonly guidance: 'classifier-free' | 'embedded';
  readonly imageToImage: boolean;
  readonly upscaler: boolean;
  readonly imageEncoder: boolean;
  readonly safetyChecker: boolean;
  readonly tinyDecoder: boolean;
  /** Whether words become a picture embedding first; with `imageEncoder` pictures do, too, and `meaning` is taken. */
  readonly imageConditioned: boolean;
  /** false for a model without a prior: it takes pictures only. */
  readonly textToImage: boolean;
}

export interface GenerateHooks {
  readonly signal?: AbortSignal;
  readonly onStep?: (step: Step) => void | Promise<void>;
  /** Called with a LoRA's file before it is merged into weights, which takes seconds, once. */
  readonly onPrepare?: (file: string) => void;
}

export interface Embeddings {
  readonly texts: Float32Array[];
  /** None where the model has no image encoder. */
  readonly pictures: Float32Array[];
  /** Whether texts and pictures share a space: their product is then the cosine. */
  readonly joint: boolean;
}

export interface Model {
  readonly dir: string;
  readonly family: string;
  readonly info: ModelInfo;
  /** Between steps the signal is checked and the event loop runs. */
  generate(request: GenerateRequest, hooks?: GenerateHooks): Promise<GenerateResult>;
  /**
   * Finds the best number of rows of native size for one call of the network, by the device's free bytes and a row's
   * time, and makes it the limit; undefined where it cannot be measured. Nothing may be painted meanwhile; missing in
   * models that paint in stages.
   * @param now milliseconds; the process' own clock where left out
   */
  measureRows?(free: () => Promise<number | undefined>, now?: () => number): Promise<number | undefined>;
  /** Throws EngineError('unsupported') where there is no upscaler. */
  upscale(picture: Picture, factor: 2 | 4): Promise<Picture>;
  /** Present where the model has an image encoder. */
  encodeImage?(picture: Picture): Promise<Float32Array>;
  /** Vectors of length one, by the last text encoder and the image encoder. */
  embed(texts: readonly string[], pictures?: readonly Picture[]): Promise<Embeddings>;
  /** Whether the safety checker flags a picture; present where the model has one. */
  check?(picture: Picture): Promise<boolean>;
  encodeText(text: string): Promise<{ pooled: Float32Array; hidden: Float32Array }>;
  tokenCount(text: string): number;
  release(): Promise<void>;
}
