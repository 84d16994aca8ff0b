/**
 * Converts 8-bit floats to half floats exactly: ONNX Runtime's own cast of them is scalar and takes four times as long
 * as the network.
 */

/** @returns the half floats (as uint16) of the 256 byte values */
export function halfFloatsOf(dtype: 'F8_E4M3' | 'F8_E5M2'): Uint16Array {
  // E5M2 is the upper byte of a half float.
  if (dtype === 'F8_E5M2') return Uint16Array.from({ length: 256 }, (_, byte) => byte << 8);
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    const sign = (byte & 0x80) << 8;
    const exponent = (byte >> 3) & 15;
    const mantissa = byte & 7;
    // OCP 8-bit floating point specification, E4M3: no infinities, one not-a-number.
    if (exponent === 15 && mantissa === 7) return sign | 0x7e00;
    if (exponent > 0) return sign | ((exponent + 8) << 10) | (mantissa << 7);
    if (mantissa === 0) return sign;
    // Subnormal, mantissa · 2^-9, which a half float has as a normal number.
    const shift = Math.clz32(mantissa) - 28;
    return sign | ((9 - shift) << 10) | (((mantissa << shift) & 7) << 7);
  });
}

/** @param bytes float8 numbers @returns half floats, little-endian */
export function widenFloat8(bytes: Uint8Array, table: Uint16Array): Uint8Array {
  const half = new Uint16Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) half[i] = table[bytes[i]!]!;
  return new Uint8Array(half.buffer);
}
