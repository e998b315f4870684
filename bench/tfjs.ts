/**
 * TensorFlow.js on WebGPU: what benchmarks use of it, and its loading. The packages are named in `peers.json` alone, so
 * that only `deno task bench:peers` fetches them; their types are written down here for the same reason.
 *
 * @module
 */

/** A tensor; its memory is given back by `dispose` or at the end of a `tidy`. */
export interface TfTensor {
  /** Number of values. */
  readonly size: number;
  data(): Promise<Float32Array>;
  dispose(): void;
}

/** A tensor that an optimizer changes. */
export interface TfVariable extends TfTensor {
  readonly name: string;
}

/** The part of TensorFlow.js that is used here. */
export interface Tfjs {
  setBackend(name: string): Promise<boolean>;
  /** The backend of WebGPU; `commandEncoder` is null while nothing is recorded. A pass left open voids the submission. */
  backend(): {
    endComputePassEncoder(): void;
    submitQueue(): void;
    readonly commandEncoder: GPUCommandEncoder | null;
    readonly queue: GPUQueue;
  };
  tensor2d(values: Float32Array, shape: readonly [number, number]): TfTensor;
  variable(initial: TfTensor, trainable: boolean, name: string): TfVariable;
  matMul(a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean): TfTensor;
  add(a: TfTensor, b: TfTensor | number): TfTensor;
  sub(a: TfTensor | number, b: TfTensor): TfTensor;
  mul(a: TfTensor, b: TfTensor | number): TfTensor;
  square(a: TfTensor): TfTensor;
  sum(a: TfTensor): TfTensor;
  sigmoid(a: TfTensor): TfTensor;
  tidy<T>(work: () => T): T;
  keep<T extends TfTensor>(tensor: T): T;
  dispose(tensors: readonly TfTensor[]): void;
  readonly train: {
    adam(learningRate: number, beta1: number, beta2: number, epsilon: number): {
      applyGradients(gradients: Readonly<Record<string, TfTensor>>): void;
    };
  };
}

const CORE = "@tensorflow/tfjs-core", BACKEND = "@tensorflow/tfjs-backend-webgpu";

/** @throws {Error} If it finds no WebGPU: its other backends are no peers. */
export async function openTfjs(): Promise<Tfjs> {
  const tf: Tfjs = await import(CORE);
  await import(BACKEND);
  if (!await tf.setBackend("webgpu")) throw new Error("TensorFlow.js found no WebGPU");
  return tf;
}

/** Submits what is recorded and waits for all of it, without reading anything back. */
export async function settleTfjs(tf: Tfjs): Promise<void> {
  const backend = tf.backend();
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue();
  await backend.queue.onSubmittedWorkDone();
}
