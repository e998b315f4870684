/**
 * The memory plan of a run: what will be taken, known before anything is, and refused where it does not fit.
 *
 * @module
 */
import { bucketLength } from "./data/collate.ts";
import { GpuMemoryError } from "./errors.ts";
import type { Gpu } from "./gpu/device.ts";
import type { MemoryRow } from "./job.ts";
import type { TrainableModel } from "./models/trainable_model.ts";

/** GPU memory by purpose, bytes; the activations are those of the largest batch. */
export function memoryRows(model: TrainableModel): MemoryRow[] {
  const { buffers, textures } = model.resources.arena.bytes;
  const adapter = model.pool.bytes;
  return [
    { what: "base weights", bytes: model.decoder.bytes },
    { what: "adapter", bytes: adapter },
    { what: "gradients", bytes: adapter },
    { what: "optimizer moments", bytes: 2 * adapter },
    { what: "activations", bytes: buffers },
    { what: "staged operands", bytes: textures },
  ].filter(({ bytes }) => bytes > 0);
}

/** Sum of a plan's rows. */
export function totalBytes(rows: readonly MemoryRow[]): number {
  return rows.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** What the memory for activations follows from. */
export interface BatchSizes {
  readonly batchSize: number;
  readonly evalBatchSize: number;
  /** Tokens of the longest row, padded. */
  readonly length: number;
}

/** Smaller sizes, from what costs least: half as many rows until one is left, then rows half as long. */
export function* smallerBatches({ batchSize, evalBatchSize, length }: BatchSizes): Generator<BatchSizes> {
  let rows = Math.max(batchSize, evalBatchSize);
  while (rows > 1) {
    rows = Math.floor(rows / 2);
    yield { batchSize: Math.min(rows, batchSize), evalBatchSize: Math.min(rows, evalBatchSize), length };
  }
  for (let shorter = length; shorter > bucketLength(1);) {
    shorter = bucketLength(Math.ceil(shorter / 2));
    yield { batchSize: 1, evalBatchSize: 1, length: shorter };
  }
}

/** How much memory a run may take. */
export interface MemoryLimits {
  /** The user's limit, 10⁹ bytes; null for none. */
  readonly limitGb: number | null;
  /** What the machine has free, bytes, for adapters that compute on the CPU. WebGPU tells no other adapter's. */
  readonly availableBytes?: number | undefined;
}

/**
 * Holds a plan against the limits.
 *
 * @param planOf Plans the same run with smaller batches; called only when the plan does not fit.
 * @throws {GpuMemoryError} With the numbers and the cheapest settings that fit.
 */
export function checkMemory(
  rows: readonly MemoryRow[],
  sizes: BatchSizes,
  gpu: Pick<Gpu, "name" | "software">,
  { limitGb, availableBytes = Infinity }: MemoryLimits,
  planOf: (sizes: BatchSizes) => readonly MemoryRow[],
): void {
  const given = limitGb === null ? Infinity : limitGb * 1e9;
  const free = gpu.software ? availableBytes : Infinity;
  const bytes = Math.min(given, free);
  if (totalBytes(rows) <= bytes) return;
  const fitting = smallerBatches(sizes).find((smaller) => totalBytes(planOf(smaller)) <= bytes);
  const parts = rows.map((row) => `${row.what} ${megabytes(row.bytes)}`).join(", ");
  throw new GpuMemoryError(
    `The run needs ${megabytes(totalBytes(rows))} on "${gpu.name}" (${parts}) and ` +
      `${given <= free ? "memory_limit_gb allows" : "this machine has free"} ${megabytes(bytes)}: ` +
      (fitting ? settings(sizes, fitting) : "lower lora_r, or use a smaller base model"),
  );
}

/** The options to set, by their names. */
function settings(from: BatchSizes, to: BatchSizes): string {
  const changes = [
    ...(to.batchSize < from.batchSize ? [`batch_size to ${to.batchSize}`] : []),
    ...(to.evalBatchSize < from.evalBatchSize ? [`eval_batch_size to ${to.evalBatchSize}`] : []),
    ...(to.length < from.length ? [`max_length to ${to.length}`] : []),
  ];
  const keep = to.batchSize < from.batchSize
    ? " (and raise gradient_accumulation_steps to make up for it)"
    : "";
  return `set ${changes.join(", ")}${keep}`;
}

/** In 10⁶ bytes, as memory_limit_gb counts. */
function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;
}
