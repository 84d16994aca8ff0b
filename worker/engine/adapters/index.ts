/** LoRAs and textual inversions. */

export { loraBase } from './adaptedNetwork.ts';
export {
  type Adaptation,
  type AdaptedRows,
  type AdapterSettings,
  Adapters,
  type LoraUse,
  type PartAdaptation,
} from './adapters.ts';
export { type Base, baseOfFile, baseOfModel, baseOfText } from './baseModel.ts';
export { cutAtWords, type EmbeddingUse, readEmbedding, type WordEmbedding } from './embeddings.ts';
export { overlayDir } from './overlay.ts';
export type { AdaptedPart } from './tensorNames.ts';
export type { StoredTensor, TensorSource } from './tensorSource.ts';
