/** The engine's public words. */
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
  /** false leaves the safety checker out, where the model has one. */
  readonly safetyChecker?: boolean;
  /** Disk in the model's folder for weights that LoRAs were merged into; 16 GB where left out. */
  readonly overlayBytes?: number;
  /** Of models that paint in stages; 25, 4 and 7 where left out, as diffusers has them. */
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
   * Whether their rows go into one call. Where left out: on a GPU, where a call of many rows takes little longer than
   * one of few, and not on the processor, where it gains nothing. false keeps every picture exactly as it is alone on
   * a GPU too: there the rounding of a call depends on its number of rows.
   */
  readonly together?: boolean;
  /** Rows of the model's native size in one call; as many as there are where left out. A guided picture has two. */
  readonly mostRows?: number;
  /** Told of every call's rows before it is made; what it throws, the call throws. */
  readonly onCall?: (rows: number) => void | Promise<void>;
  /** Memory ran out, and the step was repeated with half of what did not fit; it stays so. */
  readonly onHalved?: (mostRows: number) => void;
}

export interface PromptPart {
  readonly text: string;
  readonly weight: number;
}

export interface GenerateRequest {
  /** Parts are blended by weight; their sum does not matter, a negative weight pushes away. */
  readonly prompt: string | readonly PromptPart[];
  /** Left out is not the same as empty for SDXL: its unconditional embedding is then zeros where the model says so. */
  readonly negative?: string;
  /** One picture a seed, each as torch.Generator('cpu').manual_seed(seed) paints it alone. */
  readonly seeds: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number | readonly number[];
  /** LoRAs: one list for all pictures, or one a picture. */
  readonly loras?: readonly (readonly LoraUse[])[];
  /** Words in prompt and negative that stand for vectors of their own. */
  readonly embeddings?: readonly EmbeddingUse[];
  readonly scheduler?: { readonly name?: string; readonly config?: Readonly<Record<string, unknown>> };
  /** Reads (word:1.2), [word] and BREAK; true where left out. */
  readonly emphasis?: boolean;
  readonly init?: {
    /** Of the request's size; several are blended as latents. */
    readonly image?: Picture;
    readonly images?: readonly Picture[];
    /** Of `images`, one each, above 0; all alike where left out. */
    readonly weights?: readonly number[];
    /** Final latents of former pictures (GenerateResult.latents): one for all, or one each. */
    readonly latents?: readonly Float32Array[];
    /** 0..1: how much of the schedule is run again. */
    readonly strength: number;
  };
  /** Of the request's size; 0.5 and more is repainted, less is kept. Needs `init`. */
  readonly mask?: Picture | Float32Array;
  /**
   * What is neither 0 nor 1 in the mask is kept at first and painted later: a value of m from the moment on when
   * 1 - m of the steps are done, so that old and new meet. Not for networks with mask channels.
   */
  readonly softMask?: boolean;
  /** 0..1: the fraction of the schedule after which to stop and show the picture as predicted there. */
  readonly stop?: number;
  /** A picture whose edges meet. */
  readonly tile?: boolean;
  /** Moves the prompt's embedding off its place by 0..1. */
  readonly noise?: { readonly perturb?: number; readonly seed?: number };
  /** 0..1: the share of every picture's start noise that comes from the first seed. */
  readonly sharedNoise?: number;
  /** Most pictures in one model call; all where left out. */
  readonly maxBatch?: number;
  /** 'tiny' takes the tiny decoder for the final pictures too, where the model has one: a draft. */
  readonly decoder?: 'full' | 'tiny';
  /** false where the caller makes something else of the pictures and has that checked. */
  readonly check?: boolean;
  /** DDIM's eta and TCD's gamma. */
  readonly eta?: number;
  /** The first stage of models with a picture embedding in the middle: words to an embedding. */
  readonly prior?: { readonly steps?: number | undefined; readonly guidance?: number | undefined };
  /** Their last stage: the small picture to the large one. */
  readonly superRes?: { readonly steps?: number | undefined };
  /** What the picture is about, where that is not the prompt alone (ModelInfo.imageConditioned). */
  readonly meaning?: Meaning;
}

/** A picture embedding made of pictures and words, the middle of Ramesh et al., "unCLIP" (2022), section 3. */
export interface Meaning {
  readonly pictures: readonly Picture[];
  /** One a picture, 0 or more; all alike where left out. */
  readonly weights?: readonly number[];
  /** The weight of the prompt's own embedding, as the prior gives it; where left out or 0 no prior runs. */
  readonly text?: number;
  /**
   * 'spherical', where left out: by the angle between two, by the mean direction of more, at the length that they
   * have. 'sum': the plain weighted sum, as KandinskyV22PriorPipeline.interpolate.
   */
  readonly mix?: 'spherical' | 'sum';
  /** Moves the embedding along the way from one text to the other, by 0..1 of the angle; one a picture. */
  readonly reword?: { readonly from: string; readonly to: string; readonly strengths: readonly number[] };
  /** Starts the decoder from the noise that the first picture would come from, so that its layout stays. */
  readonly keepLayout?: boolean;
}

export type Stage = 'prior' | 'decoder' | 'super-resolution';

export interface Step {
  /** Model calls done, from 1. */
  readonly step: number;
  readonly steps: number;
  /** Of models that paint in stages; steps count through all of them. */
  readonly stage?: Stage;
  /**
   * Every picture as predicted at this step, by the linear map, at latent resolution; computed when called. None
   * while a prior runs: an embedding cannot be looked at.
   */
  preview(): Picture[];
  /** The same at full size through the tiny decoder, where the model has one. */
  decodePreview?(): Promise<Picture[]>;
}

export interface GenerateResult {
  readonly pictures: Picture[];
  /** Channels × height × width, as the sampler left them: what `init.latents` takes. */
  readonly latents: Float32Array[];
  readonly latentShape: [number, number, number];
  /** What the decoder was given to show, of models with a picture embedding in the middle. */
  readonly imageEmbeddings?: Float32Array[];
  /** One a picture, where the model carries a safety checker. */
  readonly flagged?: boolean[];
  readonly timings: {
    readonly encodeMs: number;
    readonly stepMs: number[];
    readonly decodeMs: number;
    /** Milliseconds inside ONNX Runtime; the rest of the sum is the engine's own. */
    readonly runMs: number;
  };
}

export interface ModelInfo {
  readonly family: string;
  /** Pixels of a side that the model was trained on. */
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
  /** Those that were asked for before it and could not be started, each with the reason: never passed over in silence. */
  readonly providersMissing: readonly string[];
  /** Opened from a file that was optimised before (see optimised.ts). */
  readonly optimised: boolean;
  readonly inpaint: boolean;
  readonly guidance: 'classifier-free' | 'embedded';
  readonly imageToImage: boolean;
  readonly upscaler: boolean;
  readonly imageEncoder: boolean;
  readonly safetyChecker: boolean;
  readonly tinyDecoder: boolean;
  /** Words become a picture embedding first; with `imageEncoder` a picture does, too, and `meaning` is taken. */
  readonly imageConditioned: boolean;
  /** false where it has no prior: it takes pictures only. */
  readonly textToImage: boolean;
}

export interface GenerateHooks {
  readonly signal?: AbortSignal;
  readonly onStep?: (step: Step) => void | Promise<void>;
  /** Before a LoRA is merged into weights, which takes seconds, once: its file. */
  readonly onPrepare?: (file: string) => void;
}

export interface Embeddings {
  readonly texts: Float32Array[];
  /** None where the model has no image encoder. */
  readonly pictures: Float32Array[];
  /** Whether the two can be compared with one another: their product is then the cosine. */
  readonly joint: boolean;
}

export interface Model {
  readonly dir: string;
  readonly family: string;
  readonly info: ModelInfo;
  /** Between steps the signal is looked at and the event loop gets its turn. */
  generate(request: GenerateRequest, hooks?: GenerateHooks): Promise<GenerateResult>;
  /**
   * Finds how many rows of native size one call of the network is best made of, by the device's free bytes and by the
   * time of a row, and keeps to that; undefined where it cannot be known. Nothing may be painted meanwhile; missing in models that paint in stages.
   * @param now milliseconds; the process' own clock where left out
   */
  measureRows?(free: () => Promise<number | undefined>, now?: () => number): Promise<number | undefined>;
  /** Throws EngineError('unsupported') where there is no upscaler. */
  upscale(picture: Picture, factor: 2 | 4): Promise<Picture>;
  /** Present where the model has an image encoder. */
  encodeImage?(picture: Picture): Promise<Float32Array>;
  /** Vectors of length one, from the last text encoder and the image encoder. */
  embed(texts: readonly string[], pictures?: readonly Picture[]): Promise<Embeddings>;
  /** Whether the safety checker flags it; present where the model has one. */
  check?(picture: Picture): Promise<boolean>;
  encodeText(text: string): Promise<{ pooled: Float32Array; hidden: Float32Array }>;
  tokenCount(text: string): number;
  release(): Promise<void>;
}
