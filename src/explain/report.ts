/**
 * All that is known about how a run computes, as data: the page and the terminal show it.
 *
 * @module
 */
import type { MemoryCurve } from "../gpu/memory_curve.ts";
import type { MemoryRow } from "../job.ts";
import type { MetricsRow, RunRecord } from "../run_files.ts";
import type { KernelRow, SectionTime } from "./kernel_rows.ts";
import type { Roofline } from "./roofline.ts";

/** Where it was measured. */
export interface DeviceFacts {
  readonly name: string;
  /** True where it computes on the CPU: its times say nothing about a GPU's. */
  readonly software: boolean;
  readonly runtime: string;
  readonly platform: string;
  /** Version of the driver, where the machine tells it. */
  readonly driver: string | null;
}

/** Times of one micro-batch's forward and backward pass. */
export interface MicroBatchTimes {
  /** Profiled micro-batches; times are medians. */
  readonly profiles: number;
  /** From submitting to hearing that it is done, without timestamps, milliseconds. */
  readonly wallMs: number;
  /** Sum over all kernels, milliseconds. */
  readonly kernelMs: number;
  readonly roofline: Roofline;
  /** Least time for all kernels over {@link kernelMs}. */
  readonly roofShare: number;
  readonly sections: readonly SectionTime[];
  readonly byKernel: readonly KernelRow[];
  readonly bySize: readonly KernelRow[];
}

/** The report on one run. */
export interface ExplainReport {
  readonly lowrank: string;
  /** ISO 8601 */
  readonly madeAt: string;
  readonly run: string;
  readonly record: RunRecord;
  readonly metrics: readonly MetricsRow[];
  readonly device: DeviceFacts;
  /** Variants and why they were chosen. */
  readonly choices: readonly string[];
  readonly microBatch: { readonly rows: number; readonly length: number; readonly recomputedBlocks: number };
  /** Null where the adapter has no timestamp queries. */
  readonly times: MicroBatchTimes | null;
  /** GPU memory by purpose. */
  readonly memoryRows: readonly MemoryRow[];
  readonly memory: MemoryCurve;
}
