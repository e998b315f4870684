/**
 * How fast an adapter moves bytes from one buffer to another: the roof over everything that computes little.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";

const COPY_BYTES = 64 << 20;
const BATCHES = 5;
/** Completion of work is polled for: a batch lasts long enough that up to 11 ms of waiting count for little. */
const BATCH_MS = 150;
const MOST_COPIES = 4096;

/** Median rate of copies of 64 MiB: bytes read plus bytes written, in units of 1e9 a second. */
export async function measureCopy(gpu: Gpu): Promise<number> {
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
  try {
    let count = 1;
    while (count < MOST_COPIES && await time(count) < BATCH_MS) count *= 2;
    const rates: number[] = [];
    for (let batch = 0; batch < BATCHES; batch++) {
      rates.push(2 * COPY_BYTES * count / await time(count) / 1e6);
    }
    return rates.sort((a, b) => a - b)[BATCHES >> 1]!;
  } finally {
    for (const buffer of [from, to]) buffer.destroy();
  }
}
