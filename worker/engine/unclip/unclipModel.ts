/** An opened model with a picture embedding. */

import type { Generator } from '../latents/rng.ts';
import type { Folder } from '../onnx/folder.ts';
import type { Session } from '../onnx/session.ts';
import type { Upscaler } from '../parts/upscaler.ts';
import type { TextEncoder } from '../text/textEncoder.ts';
import type { GenerateRequest, LoadOptions, ModelInfo, Picture } from '../types.ts';
import type { Network, NetworkRow } from './batchedSession.ts';
import type { Layout } from './layout.ts';
import type { Prior } from './prior.ts';
import type { Course } from './stage.ts';
import type { Told } from './text.ts';

/** The embeddings that one picture is painted from. */
export interface Meant {
  /** The picture embedding. */
  readonly z: Float32Array;
  /** The embedding that guidance pushes away from, where the family's decoder takes one. */
  readonly negative?: Float32Array;
}

/** The decoder's inputs beside sample and timestep; without `against` there is no guidance. */
export interface DecoderCondition {
  readonly towards: NetworkRow['inputs'];
  readonly against?: NetworkRow['inputs'];
}

export interface Shape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** What differs between the families' decoders and the stages after them. */
export interface Painter {
  readonly network: Network;
  /** Pixels of a side. */
  readonly nativeSize: number;
  readonly multiple: number;
  /** Pixels per number of the decoder's sample, along a side. */
  readonly factor: number;
  readonly channels: number;
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
  /** Whether the decoder can start from a picture. */
  readonly canEncode: boolean;
  /** @throws EngineError 'bad-request' for a size that the decoder cannot paint */
  shapeOf(width: number, height: number): Shape;
  /** A picture as a sample of the decoder. */
  encode(picture: Picture, shape: Shape): Promise<Float32Array>;
  conditions(
    meant: Meant,
    told: Told,
    against: Told | undefined,
    guidance: number,
  ): Promise<DecoderCondition>;
  /** Number of steps after the decoder's. */
  stepsAfter(request: GenerateRequest): number;
  /** From the decoder's samples to pictures, drawing further from the same generators. */
  finish(
    samples: readonly Float32Array[],
    shape: Shape,
    request: GenerateRequest,
    generators: readonly Generator[],
    course: Course,
  ): Promise<Picture[]>;
  /** A preview by a linear map, cheap enough for every step; absent where none is known for the channels. */
  preview?(x0: Float32Array, shape: Shape): Picture;
  /** A preview by the final decoder, smaller. */
  decodePreview?(x0: Float32Array, shape: Shape): Promise<Picture>;
}

export interface UnclipParts {
  readonly folder: Folder;
  readonly layout: Layout;
  readonly info: ModelInfo;
  readonly encoder: TextEncoder;
  readonly prior: Prior | undefined;
  readonly painter: Painter;
  readonly stages: NonNullable<LoadOptions['stages']>;
  readonly sessions: readonly Session[];
  /** The embedding of a picture of zeros, which Kandinsky's guidance pushes away from without a negative prompt. */
  readonly zeroEmbedding: () => Promise<Float32Array>;
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
  readonly upscaler?: Upscaler;
  readonly check?: (picture: Picture) => Promise<boolean>;
}
