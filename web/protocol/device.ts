/**
 * What is known of the adapter (GPU).
 *
 * @module
 */

/** What is known of the adapter (GPU). */
export interface DeviceFacts {
  readonly name: string;
  readonly software: boolean;
  readonly features: readonly string[];
  /** Granted limits by WebGPU's names. */
  readonly limits: Readonly<Record<string, number>>;
  /** Of a product of two square f32 matrices of this size, 10⁹ operations a second; null where it was not measured. */
  readonly matmul: { readonly size: number; readonly gigaflops: number } | null;
}
