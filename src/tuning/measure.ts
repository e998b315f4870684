/**
 * Timing one tile on the sizes of a run, after holding its results against an f64 reference.
 *
 * @module
 */
import { loraBackwardA, type Tile } from "../../kernels/matmul/kernel.ts";
import { Arena } from "../gpu/arena.ts";
import type { Gpu } from "../gpu/device.ts";
import type { PipelineCache } from "../gpu/pipelines.ts";
import type { Program } from "../gpu/program.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { recordBackwardFactor, recordBackwardInput, recordForward } from "../nn/products.ts";
import { StepRecorder } from "../nn/step_recorder.ts";
import type { Variants } from "../nn/variants.ts";
import { type Tensor, tensorAt } from "../tensor.ts";
import type { Measurement } from "./choose.ts";
import type { ProductSize, TunedOp } from "./work.ts";

/** Sizes that add less than this share of the work are left out: they would take longer to set up than they tell. */
const LEAST_SHARE = 0.04;
const ROUNDS = 3;
const CHECKED_ROWS = 4;
const EPSILON_F32 = 1.2e-7;
/** Without timestamps a batch lasts long enough that waiting for its completion counts for little. */
const BATCH_MS = 100;

/** Browsers round timestamps, nanoseconds: what takes a few of these is told by batches alone. */
const ROUNDINGS_NS = [65_536, 100_000];
const LEAST_ROUNDINGS = 20;

/** Whether a time by timestamps is so short, and so round, that it may be nothing but rounding. */
export function isCoarse(ms: number): boolean {
  return ROUNDINGS_NS.some((step) => {
    const steps = ms * 1e6 / step;
    return steps < LEAST_ROUNDINGS && Math.abs(steps - Math.round(steps)) < 1e-6;
  });
}

/** What is measured on. */
export interface Bench {
  readonly gpu: Gpu;
  readonly pipelines: PipelineCache;
  /** Where operands are read from; its tiles are not used. */
  readonly variants: Variants;
}

/**
 * Seconds of all products of these sizes with one tile: the least of three rounds each, times their number.
 *
 * @throws {RangeError} If a result differs from its reference by more than rounding explains.
 * @throws {SyntaxError} If the kernel does not compile on this adapter.
 */
export async function measureTile(
  bench: Bench,
  op: TunedOp,
  tile: Tile,
  sizes: readonly ProductSize[],
): Promise<Measurement> {
  const work = (size: ProductSize) => size.rows * size.cols * size.inner * size.count;
  const all = sizes.reduce((sum, size) => sum + work(size), 0);
  const told = sizes.filter((size, i) => i === 0 || work(size) >= LEAST_SHARE * all);
  let seconds = 0, compileSeconds = 0;
  for (const [i, size] of told.entries()) {
    using product = new TimedProduct(bench, op, tile, size);
    const firstSeconds = await product.first();
    await product.check();
    const each = await product.least();
    if (i === 0) compileSeconds = Math.max(0, firstSeconds - each);
    seconds += each * size.count;
  }
  return { seconds: seconds * all / told.reduce((sum, size) => sum + work(size), 0), compileSeconds };
}

/** One product on the GPU, with inputs that differ everywhere. */
class TimedProduct implements Disposable {
  readonly #gpu: Gpu;
  readonly #op: TunedOp;
  readonly #size: ProductSize;
  readonly #arena: Arena;
  readonly #recorder: StepRecorder;
  readonly #tensors: { readonly out: Tensor; readonly left: Tensor; readonly right: Tensor };
  readonly #values: { readonly left: Float32Array<ArrayBuffer>; readonly right: Float32Array<ArrayBuffer> };
  #program: Program | null = null;

  constructor({ gpu, pipelines, variants }: Bench, op: TunedOp, tile: Tile, size: ProductSize) {
    this.#gpu = gpu;
    this.#op = op;
    this.#size = size;
    this.#arena = new Arena(gpu);
    const tiled = { ...variants, [op]: tile };
    this.#recorder = new StepRecorder(`tuning ${op}`, { gpu, pipelines, arena: this.#arena }, tiled);
    const { rows, cols, inner } = size;
    const shapes = {
      forward: [[rows, inner], [cols, inner]],
      narrow: [[rows, inner], [cols, inner]],
      backwardInput: [[rows, inner], [inner, cols]],
      backwardFactor: [[inner, rows], [inner, cols]],
    }[op] as [[number, number], [number, number]];
    this.#values = { left: ramp(rows * inner, 0.5), right: ramp(cols * inner, 2) };
    this.#tensors = {
      out: this.#place("out", [rows, cols], null),
      left: this.#place("left", shapes[0], this.#values.left),
      right: this.#place("right", shapes[1], this.#values.right),
    };
    this.#record();
  }

  /** Seconds of staging, compiling and running for the first time. */
  async first(): Promise<number> {
    const started = performance.now();
    this.#program = await this.#recorder.build();
    this.#program.run(["stage"]);
    await this.#gpu.settle();
    this.#program.run(["product"]);
    await this.#gpu.settle();
    return (performance.now() - started) / 1000;
  }

  /** @throws {RangeError} If a few rows, the first and last among them, are not what f64 gives. */
  async check(): Promise<void> {
    const { rows, cols, inner } = this.#size;
    const out = new Float32Array(await this.#gpu.read(this.#tensors.out.buffer!, 0, 4 * rows * cols));
    const tolerance = EPSILON_F32 * (4 + 8 * Math.sqrt(inner)) * Math.sqrt(inner);
    for (let i = 0; i < CHECKED_ROWS; i++) {
      const row = Math.round(i * (rows - 1) / (CHECKED_ROWS - 1));
      for (let col = 0; col < cols; col++) {
        const error = Math.abs(out[row * cols + col]! - this.#reference(row, col));
        if (error <= tolerance) continue;
        throw new RangeError(`wrong result: element [${row}, ${col}] is off by ${error.toPrecision(2)}`);
      }
    }
  }

  /** Seconds of one product, the least of a few rounds. */
  async least(): Promise<number> {
    const rounds: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const stamped = this.#gpu.features.has("timestamp-query") ? await this.#byTimestamps() : 0;
      rounds.push(isCoarse(1000 * stamped) ? await this.#byBatches() : stamped);
    }
    return Math.min(...rounds);
  }

  [Symbol.dispose](): void {
    this.#arena.destroy();
    for (const { buffer } of Object.values(this.#tensors)) buffer?.destroy();
  }

  async #byTimestamps(): Promise<number> {
    const { entries } = await this.#program!.profile(["product"]);
    return entries.reduce((sum, { ms }) => sum + ms, 0) / 1000;
  }

  async #byBatches(): Promise<number> {
    for (let count = 1;; count *= 2) {
      const started = performance.now();
      for (let i = 0; i < count; i++) this.#program!.run(["product"]);
      await this.#gpu.settle();
      const ms = performance.now() - started;
      if (ms >= BATCH_MS) return ms / count / 1000;
    }
  }

  #record(): void {
    const run = this.#recorder;
    const { out, left, right } = this.#tensors;
    const { rows, cols, inner } = this.#size;
    run.section("stage");
    const x = run.operand(left), w = run.operand(right);
    run.clear(out);
    run.section("product");
    if (this.#op === "backwardFactor") {
      const sizes = { rows: inner, leftCols: rows, rightCols: cols };
      recordBackwardFactor(run, loraBackwardA, { out, left: x, right: w, ...sizes });
    } else if (this.#op === "backwardInput") {
      recordBackwardInput(run, { y: out, mode: "set", x, w, inner });
    } else recordForward(run, { y: out, x, w, inner });
  }

  #reference(row: number, col: number): number {
    const { left, right } = this.#values;
    const { rows, cols, inner } = this.#size;
    const isRowMajor = this.#op !== "backwardFactor",
      isTransposed = this.#op === "forward" || this.#op === "narrow";
    let sum = 0;
    for (let k = 0; k < inner; k++) {
      sum += left[isRowMajor ? row * inner + k : k * rows + row]! *
        right[isTransposed ? col * inner + k : k * cols + col]!;
    }
    return sum;
  }

  #place(label: string, shape: readonly number[], values: Float32Array<ArrayBuffer> | null): Tensor {
    const bytes = 4 * shape[0]! * shape[1]!;
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    const buffer = this.#gpu.device.createBuffer({ label: `tuning ${label}`, size: bytes, usage });
    if (values) this.#gpu.device.queue.writeBuffer(buffer, 0, values);
    return tensorAt(label, shape, buffer, 0, "f32");
  }
}

/** Values that differ from each other and sum to about nothing, so that wrong rows and columns show. */
function ramp(count: number, phase: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(0.7 * i + phase));
}
