/**
 * How fast an adapter is at what training is made of: products, copies, a whole step.
 *
 * @module
 */
import { type MatmulRate, measureMatmul } from "../src/cli/doctor_matmul.ts";
import type { Gpu } from "../src/gpu/device.ts";
import { BufferUsage } from "../src/gpu/usage.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { fullBatch, type StepTimes, syntheticModel, timeSteps } from "./training_step.ts";

const SIZES = [256, 512, 1024, 2048];
const COPY_BYTES = 64 << 20;
const COPY_BATCHES = 5;
/** Completion of work is polled for: a batch lasts long enough that up to 11 ms of waiting count for little. */
const COPY_BATCH_MS = 150;
const ROWS = 1, LENGTH = 256, WARM_STEPS = 5;

/** What was measured before the time was up. */
export interface Roofline {
  readonly matmul: readonly MatmulRate[];
  /** Bytes read plus bytes written, in units of 1e9 a second. */
  readonly copyGigabytes: number;
  readonly step: StepTimes & { readonly layers: number };
}

/**
 * Measures. Larger products are left out once `limitMs` would be exceeded; of a software adapter, the step has two
 * layers in place of 30.
 */
export async function measureRoofline(gpu: Gpu, limitMs: number): Promise<Roofline> {
  const started = performance.now();
  const variants = chooseVariants(gpu);
  const copyGigabytes = await measureCopy(gpu);
  const layers = gpu.software ? 2 : 30;
  const model = await syntheticModel(gpu, variants, { layers, rows: ROWS, length: LENGTH });
  const step = await timeSteps(model, fullBatch(model, ROWS, LENGTH), WARM_STEPS);
  model.destroy();
  const matmul: MatmulRate[] = [];
  for (const size of SIZES) {
    const last = matmul.at(-1);
    // A measurement runs about twenty products; an eightfold one takes eight times as long.
    const expectedMs = last ? 20 * 2 * size ** 3 / last.gigaflops.median / 1e6 : 0;
    if (performance.now() - started + expectedMs > limitMs) break;
    matmul.push(await measureMatmul(gpu, variants, size));
  }
  return { matmul, copyGigabytes, step: { ...step, layers } };
}

/** Median rate of copies from one buffer to another. */
async function measureCopy(gpu: Gpu): Promise<number> {
  const usage = BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const [from, to] = ["copied from", "copied to"].map((label) =>
    gpu.device.createBuffer({ label, size: COPY_BYTES, usage })
  ) as [GPUBuffer, GPUBuffer];
  const time = async (count: number) => {
    await gpu.settle();
    const started = performance.now();
    const encoder = gpu.device.createCommandEncoder();
    for (let i = 0; i < count; i++) encoder.copyBufferToBuffer(from, 0, to, 0, COPY_BYTES);
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.settle();
    return performance.now() - started;
  };
  let count = 1;
  while (count < 4096 && await time(count) < COPY_BATCH_MS) count *= 2;
  const rates: number[] = [];
  for (let batch = 0; batch < COPY_BATCHES; batch++) {
    rates.push(2 * COPY_BYTES * count / await time(count) / 1e6);
  }
  for (const buffer of [from, to]) buffer.destroy();
  return rates.sort((a, b) => a - b)[COPY_BATCHES >> 1]!;
}
