/** 8-bit RGB, row by row: how pictures travel between the engine's process and this one. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8Array;
}

/** The engine's picture: RGB, 0..1, height x width x 3. */
export interface FloatPicture {
  width: number;
  height: number;
  data: Float32Array;
}

/** Rounds to the nearest of 256 levels, as diffusers does before it saves a PNG. */
export function toPixels({ width, height, data }: FloatPicture): Pixels {
  const bytes = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const x = (data[i] as number) * 255;
    bytes[i] = x <= 0 ? 0 : x >= 255 ? 255 : Math.round(x);
  }
  return { width, height, data: bytes };
}

export function toFloats({ width, height, data }: Pixels): FloatPicture {
  const floats = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) floats[i] = (data[i] as number) / 255;
  return { width, height, data: floats };
}

/** Whether every value is zero: what a decoder that overflowed gives, and no prompt does exactly. */
export const isBlack = ({ data }: Pixels): boolean => data.every((value) => value === 0);
