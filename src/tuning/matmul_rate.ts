/**
 * The rate of the engine's own matrix product on an adapter: checked against f64 before it is timed.
 *
 * @module
 */
import { Arena } from "../gpu/arena.ts";
import type { Gpu } from "../gpu/device.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import type { Program } from "../gpu/program.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { recordForward } from "../nn/products.ts";
import { StepRecorder } from "../nn/step_recorder.ts";
import type { Variants } from "../nn/variants.ts";
import { type Tensor, tensorAt } from "../tensor.ts";

/** A product's measured rate. */
export interface MatmulRate {
  /** M, N and K of y [M, N] = x [M, K] · w [N, K]ᵀ. */
  readonly size: number;
  /** 2·M·N·K floating-point operations over the time of one product, in units of 1e9 a second. */
  readonly gigaflops: { readonly median: number; readonly least: number; readonly most: number };
  /** Largest error of the rows that were checked, as a share of what rounding may explain. */
  readonly worstError: number;
}

const CHECKED_ROWS = 5;
const BATCHES = 5;
/** Completion of work is polled for: a batch lasts long enough that up to 11 ms of waiting count for little. */
const BATCH_MS = 150;
const MOST_DISPATCHES = 4096;
const EPSILON_F32 = 1.2e-7;

/**
 * Multiplies two matrices of `size` rows and columns in f32 by the tile of the adapter's variant.
 *
 * @throws {RangeError} If a checked row differs from its f64 reference by more than rounding: the driver miscomputes.
 */
export async function measureMatmul(gpu: Gpu, variants: Variants, size = 512): Promise<MatmulRate> {
  const x = ramp(size * size, 0.5), w = ramp(size * size, 2);
  using product = await Product.create(gpu, variants, size, x, w);
  product.run(1);
  const worstError = worstOf(await product.read(), x, w, size);
  if (!(worstError <= 1)) {
    throw new RangeError(
      `Cannot use "${gpu.name}" as its product of two ${size} x ${size} matrices is off by ${
        worstError.toPrecision(3)
      } times what rounding explains: update the driver, or choose another adapter`,
    );
  }
  const dispatches = await fittingBatch(product);
  const rates: number[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const seconds = await product.time(dispatches) / 1000;
    rates.push(2 * size ** 3 * dispatches / seconds / 1e9);
  }
  rates.sort((a, b) => a - b);
  const gigaflops = { median: rates[BATCHES >> 1]!, least: rates[0]!, most: rates.at(-1)! };
  return { size, gigaflops, worstError };
}

/** Products of one submit that together last about {@link BATCH_MS}. */
async function fittingBatch(product: Product): Promise<number> {
  let count = 1;
  for (;;) {
    const ms = await product.time(count);
    if (ms >= BATCH_MS || count === MOST_DISPATCHES) return count;
    count = Math.min(MOST_DISPATCHES, count * (ms > BATCH_MS / 4 ? 2 : 4));
  }
}

/** Values that differ from each other and sum to about nothing, so that wrong rows and columns show. */
function ramp(count: number, phase: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(0.7 * i + phase));
}

/** Errors of a few rows, first and last included, as a share of (2·ε + 8·ε·√K) · the largest value. */
function worstOf(y: Float32Array, x: Float32Array, w: Float32Array, size: number): number {
  let largest = 0, worst = 0;
  for (let i = 0; i < CHECKED_ROWS; i++) {
    const row = Math.round(i * (size - 1) / (CHECKED_ROWS - 1));
    for (let col = 0; col < size; col++) {
      let want = 0;
      for (let k = 0; k < size; k++) want += x[row * size + k]! * w[col * size + k]!;
      const error = Math.abs(y[row * size + col]! - want);
      if (!Number.isFinite(error)) return Infinity;
      largest = Math.max(largest, Math.abs(want));
      worst = Math.max(worst, error);
    }
  }
  return worst / ((2 + 8 * Math.sqrt(size)) * EPSILON_F32 * largest);
}

/** A recorded product whose operands lie where the variant wants them. */
class Product implements Disposable {
  readonly #gpu: Gpu;
  readonly #buffers: readonly GPUBuffer[];
  readonly #arena: Arena;
  readonly #program: Program;
  readonly #y: Tensor;

  private constructor(
    gpu: Gpu,
    buffers: readonly GPUBuffer[],
    { arena, program, y }: { arena: Arena; program: Program; y: Tensor },
  ) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#arena = arena;
    this.#program = program;
    this.#y = y;
  }

  static async create(
    gpu: Gpu,
    variants: Variants,
    size: number,
    x: Float32Array<ArrayBuffer>,
    w: Float32Array<ArrayBuffer>,
  ): Promise<Product> {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    const buffers = ["y", "x", "w"].map((label) =>
      gpu.device.createBuffer({ label, size: 4 * size * size, usage })
    );
    const [y, xs, ws] = buffers.map((buffer) => tensorAt(buffer.label, [size, size], buffer)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    gpu.device.queue.writeBuffer(xs.buffer!, 0, x);
    gpu.device.queue.writeBuffer(ws.buffer!, 0, w);
    const arena = new Arena(gpu);
    const run = new StepRecorder("product", { gpu, pipelines: new PipelineCache(gpu), arena }, variants);
    const operands = { x: run.operand(xs), w: run.operand(ws) };
    run.section("product");
    recordForward(run, { y, ...operands, inner: size });
    const program = await run.build();
    program.run(["main"]);
    return new Product(gpu, buffers, { arena, program, y });
  }

  run(count: number): void {
    this.#program.run(Array<string>(count).fill("product"));
  }

  /** Milliseconds from submitting this many products to hearing that they are done. */
  async time(count: number): Promise<number> {
    await this.#gpu.settle();
    const started = performance.now();
    this.run(count);
    await this.#gpu.settle();
    return performance.now() - started;
  }

  async read(): Promise<Float32Array> {
    return new Float32Array(await this.#gpu.read(this.#y.buffer!, 0, this.#y.bytes));
  }

  [Symbol.dispose](): void {
    this.#arena.destroy();
    for (const buffer of this.#buffers) buffer.destroy();
  }
}
