/**
 * Deterministic test inputs: never zeros, ones or identity, which hide swapped indices.
 *
 * @module
 */

/** Pre-fill of output buffers: an element that was never written, or written out of range, shows at once. */
export const SENTINEL = -12345.678;

/** Shape of a {@link ramp}. */
export interface RampOptions {
  /** Largest magnitude; default 1. */
  readonly scale?: number;
  /** Radians added to every angle; other phases give other, uncorrelated data. Default 0. */
  readonly phase?: number;
}

/**
 * `count` values value_i = scale·sin(phase + 0.7·i + 0.0013·i²), rounded to f32. The square keeps the sequence from
 * repeating, so a row or column taken for another gives another result.
 */
export function ramp(count: number, { scale = 1, phase = 0 }: RampOptions = {}): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => scale * Math.sin(phase + 0.7 * i + 0.0013 * i * i));
}
