/** Checks of a request before anything is computed for it. */
import { badRequest } from './errors.ts';
import type { Vae } from './latents/vae.ts';
import type { GenerateRequest, ModelInfo, Picture } from './types.ts';

/** @throws EngineError('bad-request') naming the field, its value and what is allowed */
export function checkRequest(request: GenerateRequest, info: ModelInfo, vae: Vae): void {
  const { width, height, steps, seeds, init, mask, stop } = request;
  for (const [name, value] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (!Number.isInteger(value) || value < info.multiple || value % info.multiple !== 0) {
      throw badRequest(`${name} ${value} must be a multiple of ${info.multiple}`);
    }
  }
  if (!Number.isInteger(steps) || steps < 1)
    throw badRequest(`steps ${steps} must be a whole number from 1 on`);
  if (seeds.length === 0) throw badRequest('no seed, so no picture');
  for (const seed of seeds)
    if (!Number.isSafeInteger(seed)) throw badRequest(`seed ${seed} must be a whole number`);
  if (typeof request.guidance !== 'number' && request.guidance.length !== seeds.length) {
    throw badRequest(`${request.guidance.length} guidance scales for ${seeds.length} pictures`);
  }
  const lists = request.loras?.length ?? 0;
  if (lists > 1 && lists !== seeds.length)
    throw badRequest(`${lists} lists of LoRAs for ${seeds.length} pictures`);
  for (const { weight } of request.loras?.flat() ?? [])
    if (!Number.isFinite(weight)) throw badRequest(`a LoRA's weight of ${weight} must be a number`);
  if (typeof request.prompt !== 'string' && request.prompt.length === 0)
    throw badRequest('a prompt of no parts');
  if (stop !== undefined && !(stop > 0 && stop <= 1))
    throw badRequest(`stop ${stop} must lie above 0 and at most at 1`);
  if (request.maxBatch !== undefined && !(request.maxBatch >= 1))
    throw badRequest(`maxBatch ${request.maxBatch} must be 1 or more`);
  if (init) {
    if (!(init.strength >= 0 && init.strength <= 1))
      throw badRequest(`strength ${init.strength} must lie between 0 and 1`);
    if (!init.image && !init.latents && !init.images?.length)
      throw badRequest('init needs an image or latents');
    const { images = [], weights } = init;
    if (weights && (weights.length !== images.length || weights.some((weight) => !(weight > 0))))
      throw badRequest(
        `weights of ${weights.join(', ')} for ${images.length} init images: one each, above 0, is needed`,
      );
    for (const image of [init.image, ...images])
      if (image) checkPicture('the init image', image, width, height);
    const size = (vae.channels * height * width) / vae.factor ** 2;
    for (const latent of init.latents ?? []) {
      if (latent.length !== size)
        throw badRequest(`init latents of ${latent.length} numbers where ${size} are needed`);
    }
    if (init.latents && init.latents.length !== 1 && init.latents.length !== seeds.length) {
      throw badRequest(`${init.latents.length} init latents for ${seeds.length} pictures`);
    }
  }
  if (mask) {
    if (!init) throw badRequest('a mask needs the picture it lies on (init)');
    if (mask instanceof Float32Array) {
      if (mask.length !== width * height)
        throw badRequest(`a mask of ${mask.length} numbers where ${width * height} are needed`);
    } else checkPicture('the mask', mask, width, height);
  } else if (info.inpaint) throw badRequest('this model repaints: it needs an init image and a mask');
}

function checkPicture(what: string, picture: Picture, width: number, height: number): void {
  if (picture.width !== width || picture.height !== height || picture.data.length !== width * height * 3) {
    throw badRequest(`${what} is ${picture.width}×${picture.height}, the request ${width}×${height}`);
  }
}
