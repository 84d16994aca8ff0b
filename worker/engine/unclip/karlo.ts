/**
 * Karlo (diffusers' UnCLIPPipeline): text and picture embedding are projected to the condition of a small pixel
 * decoder; a super-resolution network enlarges the small picture, and another one does the last step.
 */

import { diffuse, notANumber } from '../diffuse.ts';
import { badRequest } from '../errors.ts';
import type { Canvas } from '../latents/canvas.ts';
import { fromPlanes, toPlanes } from '../latents/vae.ts';
import { type Folder, number } from '../onnx/folder.ts';
import type { Session } from '../onnx/session.ts';
import { allFinite, concat } from '../onnx/tensor.ts';
import { resizeUnclipped } from '../parts/resize.ts';
import { planSchedule } from '../schedulers/index.ts';
import { clamp } from '../schedulers/plan.ts';
import type { LoadOptions } from '../types.ts';
import { makeNetwork, type Network } from './batchedSession.ts';
import { guided, noiseCanvas, tell } from './stage.ts';
import type { Painter } from './unclipModel.ts';

const decoderInputs = ['sample', 'timestep', 'encoder_hidden_states', 'class_labels', 'attention_mask'];
const projectionInputs = ['image_embeddings', 'prompt_embeds', 'text_encoder_hidden_states'];
const projectionOutputs = ['encoder_hidden_states', 'class_labels'];
const channels = 3;

/** The painter over Karlo's opened networks. @throws EngineError('bad-model') where they do not fit */
export function makeKarlo(
  folder: Folder,
  sessions: ReadonlyMap<string, Session>,
  stages: NonNullable<LoadOptions['stages']>,
): Painter {
  const network = makeNetwork(sessions.get('decoder')!, decoderInputs, ['out_sample']);
  const projection = makeNetwork(sessions.get('text_proj')!, projectionInputs, projectionOutputs);
  const enlargers = ['super_res_first', 'super_res_last']
    .map((part) => sessions.get(part))
    .filter((session) => session !== undefined)
    .map((session) => makeNetwork(session, ['sample', 'timestep'], ['out_sample']));
  const small = number(folder.config('decoder'), 'sample_size', 64);
  const large =
    enlargers.length > 0 ? number(folder.config('super_res_first'), 'sample_size', 4 * small) : small;
  const extraTokens = number(folder.config('text_proj'), 'clip_extra_context_tokens', 4);
  const written = folder.config('text_proj')['null_image_embedding'];
  const nullEmbedding = Array.isArray(written) ? Float32Array.from(written as number[]) : undefined;
  const superResConfig = folder.config('super_res_scheduler', 'scheduler_config.json');
  const stepsAfter: Painter['stepsAfter'] = (request) =>
    enlargers.length === 0 ? 0 : (request.superRes?.steps ?? stages.superRes?.steps ?? 7);

  return {
    network,
    nativeSize: large,
    multiple: large,
    factor: large / small,
    channels,
    schedulerConfig: folder.config('decoder_scheduler', 'scheduler_config.json'),
    canEncode: true,
    stepsAfter,
    shapeOf(width, height) {
      if (width !== large || height !== large)
        throw badRequest(`${width}×${height}: this model paints ${large}×${large} only`);
      return { channels, height: small, width: small };
    },
    async encode(picture, { width, height }) {
      return toPlanes(resizeUnclipped(picture, width, height)).map((value) =>
        Math.min(Math.max(value, -1), 1),
      );
    },
    async conditions({ z }, told, against, guidance) {
      const rowOf = (embedding: Float32Array, text: typeof told) => ({
        inputs: {
          image_embeddings: { data: embedding, dims: [embedding.length] },
          prompt_embeds: { data: text.embedding, dims: [text.embedding.length] },
          text_encoder_hidden_states: { data: text.hidden, dims: [text.tokens, text.width] },
        },
        only: against === undefined,
      });
      const rows = [rowOf(z, told)];
      if (against) rows.unshift(rowOf(nullEmbedding ?? new Float32Array(z.length), against));
      const said = await projection.run(rows);
      const inputsOf = (i: number, text: typeof told) => {
        const hidden = said[i]!['encoder_hidden_states']!;
        const tokens = extraTokens + text.tokens;
        // The picture's tokens stand before the text's and are always visible.
        const mask = [...Array<number>(extraTokens).fill(1), ...text.mask];
        return {
          encoder_hidden_states: { data: hidden, dims: [tokens, hidden.length / tokens] },
          class_labels: { data: said[i]!['class_labels']!, dims: [said[i]!['class_labels']!.length] },
          attention_mask: { data: mask, dims: [mask.length] },
        };
      };
      const towards = inputsOf(against ? 1 : 0, told);
      return against && guidance !== 1 ? { towards, against: inputsOf(0, against) } : { towards };
    },
    preview: (x0, { width, height }) => fromPlanes(x0, width, height),

    async finish(samples, { width, height }, request, generators, course) {
      const first = enlargers[0];
      if (!first) return samples.map((sample) => fromPlanes(sample, width, height));
      const last = enlargers.at(-1)!;
      // 1. The small picture, clipped and enlarged, is an input of every step beside the noise.
      const enlarged = samples.map((sample) => enlarge(clamp(sample, 1), small, large));
      // 2. All steps but the last by the first network.
      const size = channels * large * large;
      const plan = planSchedule(superResConfig, {}, { steps: stepsAfter(request), eta: request.eta ?? 0 });
      const canvases = generators.map((generator) => noiseCanvas(generator, 1, plan, size));
      const calls = plan.timesteps.length;
      const ask = (networkOfStep: Network, batch: readonly Canvas[], index: number) =>
        guided(
          networkOfStep,
          'out_sample',
          batch,
          (canvas) => {
            const shown = concat([plan.scaleInput(canvas.x, index), enlarged[canvases.indexOf(canvas)]!]);
            return {
              against: [],
              towards: [
                {
                  sample: { data: shown, dims: [2 * channels, large, large] },
                  timestep: { data: [plan.timesteps[index]!], dims: [] },
                },
              ],
            };
          },
          size,
        );
      const ms = await diffuse(
        canvases,
        { plan, start: 0, calls, stop: calls, size, maxBatch: course.maxBatch, signal: course.hooks.signal },
        (batch, index) => ask(index === calls - 1 ? last : first, batch, index),
        () =>
          tell(course, 'super-resolution', {
            preview: () => canvases.map(({ imagined }) => fromPlanes(imagined(), large, large)),
          }),
      );
      course.stepMs.push(...ms);
      return canvases.map(({ x }, i) => {
        if (!allFinite(x)) throw notANumber(request.seeds[i]!, 'the enlarged picture');
        return fromPlanes(x, large, large);
      });
    },
  };
}

/** Bicubic, for planes of any range. */
function enlarge(planes: Float32Array, from: number, to: number): Float32Array {
  const pixels = new Float32Array(planes.length);
  const area = from * from;
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) pixels[3 * i + c] = planes[c * area + i]!;
  const { data } = resizeUnclipped({ width: from, height: from, data: pixels }, to, to);
  const result = new Float32Array(data.length);
  for (let i = 0; i < to * to; i++) for (let c = 0; c < 3; c++) result[c * to * to + i] = data[3 * i + c]!;
  return result;
}
