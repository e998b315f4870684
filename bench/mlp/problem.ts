/**
 * A small fine-tuning step that every library can express: a gated feed-forward block with frozen weights and low-rank
 * updates on all three maps, squared error, AdamW without decay.
 *
 *     y = D·(silu(G·x) · U·x)      each map W0·x + s·B·(A·x)      loss = mean (y − t)²
 *
 * @module
 */

/** Rows of x, and the widths of input, middle and output. */
export interface MlpSizes {
  readonly rows: number;
  readonly input: number;
  readonly middle: number;
  readonly output: number;
}

export const RANK = 8;
/** s = alpha / rank */
export const SCALING = 2;
export const ADAMW = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** A [rows, cols] matrix of f32. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly values: Float32Array<ArrayBuffer>;
}

/** One map: frozen W0 [out, in], trained A [r, in] and B [out, r]. */
export interface MlpMap {
  readonly name: string;
  readonly weight: Matrix;
  readonly a: Matrix;
  readonly b: Matrix;
}

/** Weights, an input x [R, input] and a target [R, output]; maps in the order gate, up, down. */
export interface MlpProblem {
  readonly sizes: MlpSizes;
  readonly maps: readonly [MlpMap, MlpMap, MlpMap];
  readonly x: Matrix;
  readonly target: Matrix;
}

/** A library that trains the problem's updates on its device. */
export interface MlpRunner {
  readonly name: string;
  /** Submits one step: forward, backward and AdamW. */
  step(): void;
  /** Waits for every step submitted. */
  settle(): Promise<void>;
  /** Loss of the last step, before its update. */
  loss(): Promise<number>;
  close(): Promise<void>;
}

/** Values that depend on every index, of the sizes that make a loss of about 1. B starts away from zero: A's gradient too. */
export function mlpProblem(sizes: MlpSizes): MlpProblem {
  const { rows, input, middle, output } = sizes;
  let phase = 0;
  const matrix = (rows: number, cols: number, scale: number): Matrix => {
    phase += 1.3;
    const at = phase;
    const values = Float32Array.from(
      { length: rows * cols },
      (_, i) => scale * Math.sin(0.7 * i + i * i * 1e-3 + at),
    );
    return { rows, cols, values };
  };
  const map = (name: string, out: number, cols: number): MlpMap => ({
    name,
    weight: matrix(out, cols, cols ** -0.5),
    a: matrix(RANK, cols, cols ** -0.5),
    b: matrix(out, RANK, 0.1),
  });
  return {
    sizes,
    maps: [map("gate", middle, input), map("up", middle, input), map("down", output, middle)],
    x: matrix(rows, input, 1),
    target: matrix(rows, output, 1),
  };
}
