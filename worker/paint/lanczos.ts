import { resizeBytes } from '../engine/parts/pillowResize.ts';
import type { Pixels } from './pixels.ts';

/** `Image.resize(size, Image.LANCZOS)`: how diffusers fits a start picture and a mask to the size that is painted. */
export const resizeLanczos = (picture: Pixels, width: number, height: number): Pixels =>
  resizeBytes(picture, width, height, 'lanczos');
