/**
 * jax-js on WebGPU: what benchmarks use of it, and its loading. The package is named in `peers.json` alone, so that only
 * `deno task bench:peers` fetches it; its types are written down here for the same reason.
 *
 * @module
 */

/** An array. To hand one to a function is to give it away: `ref` keeps it. */
export interface JaxArray {
  readonly ref: JaxArray;
  reshape(shape: readonly number[]): JaxArray;
  transpose(): JaxArray;
  add(other: JaxArray | number): JaxArray;
  sub(other: JaxArray | number): JaxArray;
  mul(other: JaxArray | number): JaxArray;
  div(other: JaxArray | number): JaxArray;
  mean(): JaxArray;
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** Arrays, lists of them, lists of lists. */
export type JaxTree = JaxArray | readonly JaxTree[];

/** A function that was traced and compiled. */
export type JaxFunction<I extends readonly JaxTree[], O> = ((...inputs: I) => O) & { dispose(): void };

/** The part of jax-js that is used here. */
export interface Jax {
  init(...devices: string[]): Promise<string[]>;
  defaultDevice(device: string): void;
  blockUntilReady(tree: JaxTree): Promise<unknown>;
  jit<I extends readonly JaxTree[], O>(of: (...inputs: I) => O): JaxFunction<I, O>;
  /** Value and gradient by the first input. */
  valueAndGrad<P extends JaxTree, I extends readonly JaxTree[]>(
    of: (parameters: P, ...inputs: I) => JaxArray,
  ): (parameters: P, ...inputs: I) => [JaxArray, P];
  readonly numpy: {
    array(values: Float32Array<ArrayBuffer> | number): JaxArray;
    matmul(a: JaxArray, b: JaxArray): JaxArray;
    square(a: JaxArray): JaxArray;
    sqrt(a: JaxArray): JaxArray;
  };
  readonly nn: { silu(a: JaxArray): JaxArray };
}

const PACKAGE = "@jax-js/jax";

/** @throws {Error} If it finds no WebGPU: its other backends are no peers. */
export async function openJax(): Promise<Jax> {
  const jax: Jax = await import(PACKAGE);
  const found = await jax.init("webgpu");
  if (!found.includes("webgpu")) throw new Error(`jax-js found no WebGPU, only ${found.join(", ")}`);
  jax.defaultDevice("webgpu");
  return jax;
}
