import type { Recipe } from '../../shared/picture/recipe.ts';
import type { RenderRequest } from '../../shared/queue/job.ts';

const JOB = '1190000000000000999';

export const recipe: Recipe = {
  v: 1,
  action: 'imagine',
  model: 'tiny',
  modelHash: '0123456789abcdef',
  prompt: 'một con cáo 🦊 --seed 7',
  parts: [{ text: 'một con cáo 🦊', weight: 1 }],
  negative: 'text, frame',
  seed: 7,
  count: 4,
  width: 128,
  height: 96,
  steps: 12,
  guidance: 6.5,
  scheduler: 'EulerDiscreteScheduler',
  chaos: 0,
  weird: 0,
  stop: 1,
  tile: false,
};

/** A third generation, so that what starts from other pictures is reached too. */
export const descendant: Recipe = {
  ...recipe,
  action: 'zoom-out',
  zoom: 1.5,
  parent: {
    jobId: JOB,
    index: 2,
    recipe: { ...recipe, action: 'vary-strong', parent: { jobId: JOB, index: 0, recipe } },
  },
};

export const request: RenderRequest = {
  v: 1,
  jobId: JOB,
  action: 'vary-region',
  prompt: 'a fox --ar 3:2 --stylize 50',
  parts: [
    { text: 'a fox', weight: 1 },
    { text: 'snow', weight: 0.5 },
  ],
  negative: '',
  params: { aspect: [3, 2], chaos: 10, stylize: 50, quality: 1, seed: 7, raw: true },
  model: 'tiny',
  seed: 7,
  count: 4,
  cells: 0xf0,
  zoom: 1.5,
  parent: { jobId: JOB, index: 1, recipe: descendant },
  user: { id: '1190000000000000010', name: 'mai' },
  createdAt: 1_750_000_000_000,
};

/** As AUTOMATIC1111's web UI 1.9 and ComfyUI 0.3 write them, with names of ours. */
export const parameters = [
  'a fox in the snow, (night:1.2)',
  'Negative prompt: blurry, text',
  'Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 6.5, Seed: 4294967295, Size: 768x512, Model hash: abc, Model: dreamy_v8, Lora hashes: "emoji: 12, b: 3", Version: v1.9.0',
].join('\n');

export const comfyGraph = {
  '3': {
    class_type: 'KSampler',
    inputs: {
      seed: 156680208700286,
      steps: 20,
      cfg: 8,
      sampler_name: 'euler',
      scheduler: 'normal',
      denoise: 1,
      model: ['10', 0],
      positive: ['6', 0],
      negative: ['7', 0],
      latent_image: ['5', 0],
    },
  },
  '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'v1-5-pruned.safetensors' } },
  '5': { class_type: 'EmptyLatentImage', inputs: { width: 512, height: 768, batch_size: 1 } },
  '6': { class_type: 'CLIPTextEncode', inputs: { text: ['11', 0], clip: ['4', 1] } },
  '7': { class_type: 'CLIPTextEncode', inputs: { text: 'text, watermark', clip: ['4', 1] } },
  '10': { class_type: 'LoraLoader', inputs: { model: ['4', 0], strength: 1 } },
  '11': { class_type: 'PrimitiveString', inputs: { value: 'a castle\nby the lake' } },
};

export const comfyWorkflow = {
  nodes: [
    { type: 'CLIPTextEncode', widgets_values: ['a rose'] },
    { type: 'CLIPTextEncode', widgets_values: ['ugly'] },
    { type: 'KSampler', widgets_values: [5, 'fixed', 12, 7.5, 'dpmpp_2m', 'karras', 1] },
    { type: 'EmptyLatentImage', widgets_values: [640, 640, 1] },
    { type: 'CheckpointLoaderSimple', widgets_values: ['v1-5-pruned.safetensors'] },
  ],
};

/** Sound in every generation, and far more of them than anybody clicks. */
export function dynasty(generations: number): Recipe {
  let last: Recipe = recipe;
  for (let i = 0; i < generations; i++)
    last = { ...recipe, action: 'vary-subtle', parent: { jobId: JOB, index: 0, recipe: last } };
  return last;
}
