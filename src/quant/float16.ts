/**
 * The two 16-bit float formats of weight files, converted by bit pattern so that NaN payloads survive too.
 * F16 is IEEE binary16 (1 sign, 5 exponent, 10 fraction bits); BF16 is the upper half of a binary32.
 * Narrowing rounds to nearest, ties to even; what lies beyond the largest finite value becomes infinity.
 *
 * Files are little-endian, as every machine that runs WebGPU is, so buffers are reinterpreted, never swapped.
 *
 * @module
 */

/** Dtypes that can be read as f32 and written, as safetensors spells them. */
export type FloatDtype = "F32" | "F16" | "BF16";

/** Bytes per value. */
export const FLOAT_BYTES: Readonly<Record<FloatDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Whether a safetensors dtype is one of {@link FloatDtype}. */
export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return Object.hasOwn(FLOAT_BYTES, dtype);
}

/** Values of little-endian bytes, widened exactly to f32. The result never shares memory with `bytes`. */
export function decodeFloats(dtype: FloatDtype, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const copy = new Uint8Array(bytes).buffer;
  if (dtype === "F32") return new Float32Array(copy);
  return widen(new Uint16Array(copy), dtype === "F16" ? widenF16 : widenBf16);
}

/** Little-endian bytes of f32 values, rounded to `dtype`. The result never shares memory with `values`. */
export function encodeFloats(dtype: FloatDtype, values: Float32Array): Uint8Array<ArrayBuffer> {
  if (dtype === "F32") return new Uint8Array(new Float32Array(values).buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const narrow = dtype === "F16" ? narrowF16 : narrowBf16;
  const out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = narrow(bits[i]!);
  return new Uint8Array(out.buffer);
}

function widen(source: Uint16Array, widenOne: (bits: number) => number): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) bits[i] = widenOne(source[i]!);
  return new Float32Array(bits.buffer);
}

/** Bits of the f32 equal to the f16 with bits `half`. */
export function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // A subnormal f16 is a normal f32: shift the leading one up to the hidden bit.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

/** Bits of the f16 nearest to the f32 with bits `single`. */
export function narrowF16(single: number): number {
  const sign = (single >>> 16) & 0x8000;
  const magnitude = single & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7c00 | (((magnitude >>> 13) & 0x3ff) || 0x200);
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520, the midpoint of 65504 and what would be 65536
  const exponent = magnitude >>> 23;
  if (exponent >= 113) return sign | (roundShift(magnitude, 13) - (112 << 10));
  if (exponent < 102) return sign; // below 2^-25, half the smallest subnormal
  return sign | roundShift((magnitude & 0x7fffff) | 0x800000, 126 - exponent);
}

/** Bits of the f32 equal to the bf16 with bits `brain`. */
export function widenBf16(brain: number): number {
  return (brain << 16) >>> 0;
}

/** Bits of the bf16 nearest to the f32 with bits `single`. */
export function narrowBf16(single: number): number {
  const magnitude = single & 0x7fffffff;
  if (magnitude > 0x7f800000) return (single >>> 16) | ((magnitude >>> 16) === 0x7f80 ? 0x40 : 0);
  return ((single >>> 16) & 0x8000) | roundShift(magnitude, 16);
}

/** value / 2^shift, rounded to nearest, ties to even; `value` below 2^31, `shift` in 1..24. */
function roundShift(value: number, shift: number): number {
  const odd = (value >>> shift) & 1;
  return (value + (1 << (shift - 1)) - 1 + odd) >>> shift;
}
