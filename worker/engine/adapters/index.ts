/** LoRAs and textual inversions: what people add to a model. */
export {
  type Adaptation,
  type AdaptedRows,
  type AdapterSettings,
  Adapters,
  type LoraUse,
  type PartAdaptation,
} from './adapters.ts';
export { type Base, baseOfFile, baseOfModel, baseOfText } from './base.ts';
export { cutAtWords, type EmbeddingUse, readEmbedding, type WordEmbedding } from './embeddings.ts';
export type { AdaptedPart } from './names.ts';
export { loraBase } from './network.ts';
export { overlayDir } from './overlay.ts';
export type { StoredTensor, TensorSource } from './tensors.ts';
