/** Writes Stable Diffusion's networks as ONNX graphs that refer to weights in their original files. */
export { resnet, type TransformerSettings, transformer } from './blocks.ts';
export { builderOf, builderVersion, finish, type Network } from './builtNetwork.ts';
export { buildTextEncoder, type TextBuildOptions } from './clip.ts';
export {
  readTextConfig,
  readUNetConfig,
  readVaeConfig,
  type TextConfig,
  type UNetConfig,
  type VaeConfig,
} from './config.ts';
export { type Attribute, type Dimension, Graph, microsoft, type NodeOptions, producer } from './graph.ts';
export { type BuildOptions, type Flavour, Layers } from './layers.ts';
export { loraInputs, loraOnConvolution, loraOnForeignLinear } from './loraPorts.ts';
export type { Module } from './module.ts';
export { buildMovqDecoder, buildMovqEncoder } from './movq.ts';
export { readCheckerConfig, readTinyVaeConfig, readUpscalerConfig } from './partConfig.ts';
export { buildPixelUNet } from './pixelUnet.ts';
export { buildPrior } from './prior.ts';
export { buildSafetyChecker } from './safetyChecker.ts';
export { buildTextProjection } from './textProjection.ts';
export { buildTextStates, crossAttentions, textInputs } from './textStates.ts';
export { buildTinyDecoder, buildTinyEncoder } from './tinyVae.ts';
export { readMovqConfig, readPixelUNetConfig, readPriorConfig, readVisionConfig } from './unclipConfig.ts';
export { buildUNet } from './unet.ts';
export { buildUpscaler } from './upscaler.ts';
export { buildVaeDecoder, buildVaeEncoder } from './vae.ts';
export { buildVision } from './vision.ts';
export { type ElementType, elementTypes, needWeight, type Weight, type Weights } from './weightLocations.ts';
