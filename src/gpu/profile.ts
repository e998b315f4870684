/**
 * Time by launch and by kernel, measured on the device by timestamp queries.
 *
 * @module
 */
import type { Gpu } from "./device.ts";
import type { Launch } from "./launch.ts";
import { BufferUsage } from "./usage.ts";

/** Queries in one set; WebGPU allows 4096, two are needed a dispatch. */
const DISPATCHES_PER_SET = 2048;

/** One launch and how long it took. */
export interface DispatchTime extends Launch {
  /** Part of the program that it belongs to. */
  readonly section: string;
  readonly ms: number;
}

/** All launches of one kernel together. */
export interface KernelTime {
  readonly name: string;
  readonly dispatches: number;
  readonly ms: number;
}

/** Collects the begin and end of each dispatch of one run. */
export class DispatchProfile {
  readonly #gpu: Gpu;
  readonly #launches: readonly Omit<DispatchTime, "ms">[];
  readonly #sets: GPUQuerySet[] = [];
  #next = 0;
  #ms: number[] = [];

  /** @throws {RangeError} If the device has no timestamp queries. */
  constructor(gpu: Gpu, launches: readonly Omit<DispatchTime, "ms">[]) {
    if (!gpu.features.has("timestamp-query")) {
      throw new RangeError(`Cannot profile on "${gpu.name}" as it has no timestamp queries`);
    }
    this.#gpu = gpu;
    this.#launches = launches;
    for (let i = 0; i < launches.length; i += DISPATCHES_PER_SET) {
      const count = 2 * Math.min(DISPATCHES_PER_SET, launches.length - i);
      this.#sets.push(gpu.device.createQuerySet({ type: "timestamp", count }));
    }
  }

  /** Where the next dispatch's pass writes its times. */
  nextPass(): GPUComputePassTimestampWrites {
    const at = this.#next++;
    const within = 2 * (at % DISPATCHES_PER_SET);
    return {
      querySet: this.#sets[Math.floor(at / DISPATCHES_PER_SET)]!,
      beginningOfPassWriteIndex: within,
      endOfPassWriteIndex: within + 1,
    };
  }

  /** Submits the encoder, waits, and keeps the times. */
  async resolve(encoder: GPUCommandEncoder): Promise<void> {
    const device = this.#gpu.device;
    const buffers = this.#sets.map((set) => {
      const usage = BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC;
      const buffer = device.createBuffer({ label: "timestamps", size: set.count * 8, usage });
      encoder.resolveQuerySet(set, 0, set.count, buffer, 0);
      return buffer;
    });
    device.queue.submit([encoder.finish()]);
    for (const buffer of buffers) {
      const times = new BigUint64Array(await this.#gpu.read(buffer, 0, buffer.size));
      for (let i = 0; i < times.length; i += 2) this.#ms.push(Number(times[i + 1]! - times[i]!) / 1e6);
      buffer.destroy();
    }
    for (const set of this.#sets) set.destroy();
  }

  /** Every launch in the order of running. */
  get entries(): DispatchTime[] {
    return this.#ms.map((ms, i) => ({ ...this.#launches[i]!, ms }));
  }

  /** Total time by kernel, longest first. */
  byKernel(): KernelTime[] {
    const totals = new Map<string, { dispatches: number; ms: number }>();
    for (const { kernel, ms } of this.entries) {
      const total = totals.get(kernel) ?? { dispatches: 0, ms: 0 };
      totals.set(kernel, { dispatches: total.dispatches + 1, ms: total.ms + ms });
    }
    return [...totals].map(([name, total]) => ({ name, ...total })).sort((a, b) => b.ms - a.ms);
  }
}
