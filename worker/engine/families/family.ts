/** What differs between families of models; the rest of painting is the same for all. */
import type { Denoiser } from '../latents/denoiser.ts';
import type { Folder } from '../onnx/folder.ts';
import type { Layer, TextEncoder } from '../text/textEncoder.ts';
import type { PromptPart } from '../types.ts';

export interface EncoderPart {
  readonly part: string;
  readonly tokenizer: string;
  readonly layer: Layer;
}

/** The network's inputs beside the latents: tokens × width, and further inputs by name. */
export interface Condition {
  readonly hidden: Float32Array;
  readonly tokens: number;
  readonly extras: Readonly<Record<string, Float32Array>>;
}

export interface ConditionRequest {
  readonly folder: Folder;
  readonly encoders: readonly TextEncoder[];
  readonly denoiser: Denoiser;
  readonly prompt: readonly PromptPart[];
  /** undefined where the request has no negative prompt, which is not the same as ''. */
  readonly negative: string | undefined;
  readonly emphasis: boolean;
  readonly width: number;
  readonly height: number;
  readonly perturb: { readonly amount: number; readonly seed: number };
}

export interface Conditions {
  readonly positive: Condition;
  /** Left out where the family has no classifier-free guidance. */
  readonly negative?: Condition;
}

export interface Family {
  readonly name: string;
  /** Decides by model_index.json and by the parts that are there, never by the folder's name. */
  matches(folder: Folder): boolean;
  encoders(folder: Folder): readonly EncoderPart[];
  /** Input names that the network needs beside sample, timestep and encoder_hidden_states. */
  readonly inputs: readonly string[];
  /** Image to image changes the timesteps themselves instead of leaving out the first ones. */
  readonly strengthInSchedule?: boolean;
  /**
   * What diffusers' pipelines of this family overrule in the folder's scheduler_config.json when they are made
   * (a scheduler_config given with a request is taken as it stands).
   */
  readonly schedulerRepairs?: Readonly<Record<string, unknown>>;
  condition(request: ConditionRequest): Promise<Conditions>;
  /** Inputs that depend on a picture's guidance scale. */
  guidanceInputs?(scale: number, denoiser: Denoiser): Readonly<Record<string, Float32Array>>;
}
