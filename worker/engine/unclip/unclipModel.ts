/** A model that paints through a picture embedding, opened. */

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

/** What one picture is to show. */
export interface Meant {
  /** The picture embedding. */
  readonly z: Float32Array;
  /** What it is pushed away from, where the family's decoder takes that. */
  readonly negative?: Float32Array;
}

/** The decoder's inputs beside sample and timestep; without `against` it is unguided. */
export interface DecoderCondition {
  readonly towards: NetworkRow['inputs'];
  readonly against?: NetworkRow['inputs'];
}

export interface Shape {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** What tells one family's decoder, and what comes after it, from another's. */
export interface Painter {
  readonly network: Network;
  /** Pixels of a side. */
  readonly nativeSize: number;
  readonly multiple: number;
  /** Pixels per number of the decoder's sample, along a side. */
  readonly factor: number;
  readonly channels: number;
  readonly schedulerConfig: Readonly<Record<string, unknown>>;
  /** Whether it can start from a picture. */
  readonly canEncode: boolean;
  /** @throws EngineError 'bad-request' for a size that it cannot paint */
  shapeOf(width: number, height: number): Shape;
  /** A picture as a sample of the decoder's. */
  encode(picture: Picture, shape: Shape): Promise<Float32Array>;
  conditions(
    meant: Meant,
    told: Told,
    against: Told | undefined,
    guidance: number,
  ): Promise<DecoderCondition>;
  /** Steps that follow the decoder's. */
  stepsAfter(request: GenerateRequest): number;
  /** From the decoder's samples to pictures, drawing further from the same generators. */
  finish(
    samples: readonly Float32Array[],
    shape: Shape,
    request: GenerateRequest,
    generators: readonly Generator[],
    course: Course,
  ): Promise<Picture[]>;
  /** What a sample shows already, cheap enough for every step; absent where nothing is known of its channels. */
  preview?(x0: Float32Array, shape: Shape): Picture;
  /** The same by what ends the painting, smaller. */
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
  /** The embedding of nothing, which Kandinsky's decoder is pushed away from where no negative is asked. */
  readonly zeroEmbedding: () => Promise<Float32Array>;
  readonly encodeImage?: (picture: Picture) => Promise<Float32Array>;
  readonly upscaler?: Upscaler;
  readonly check?: (picture: Picture) => Promise<boolean>;
}
