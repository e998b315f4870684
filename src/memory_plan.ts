/**
 * The memory plan of a run: what will be taken, known before anything is, and refused where it does not fit.
 *
 * @module
 */
import { bucketLength } from "./data/collate.ts";
import { GpuMemoryError } from "./errors.ts";
import type { Gpu } from "./gpu/device.ts";
import type { MemoryRow, QuantizationPlan } from "./job.ts";
import type { BatchLimits, TrainableModel } from "./models/trainable_model.ts";

/** GPU memory by purpose, bytes; the activations are those of the largest batch. */
export function memoryRows(model: TrainableModel): MemoryRow[] {
  const { buffers, textures } = model.resources.arena.bytes;
  const adapter = model.pool.bytes;
  return [
    ...[...model.decoder.bytesByFormat].map(([format, bytes]) => {
      return { what: format === "f32" ? "base weights" : `base weights in ${format}`, bytes };
    }),
    { what: "adapter", bytes: adapter },
    { what: "gradients", bytes: adapter },
    { what: "optimizer moments", bytes: model.pool.momentCount * adapter },
    { what: "row norms", bytes: model.rowNorms.kept.reduce((sum, { bytes }) => sum + bytes, 0) },
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

/** Bytes that a run may take on this GPU; Infinity where nobody knows. */
export function allowedBytes(
  gpu: Pick<Gpu, "software">,
  { limitGb, availableBytes = Infinity }: MemoryLimits,
): number {
  return Math.min(limitGb === null ? Infinity : limitGb * 1e9, gpu.software ? availableBytes : Infinity);
}

/**
 * Blocks whose forward pass is computed again in backward: `off` none, `on` all, `auto` the fewest with which the plan
 * fits (all of them where none does).
 *
 * @param bytesOf Plans the run with so many blocks; called a few times.
 */
export function chooseRecompute(
  setting: "auto" | "on" | "off",
  blocks: number,
  allowed: number,
  bytesOf: (recompute: number) => number,
): number {
  if (setting === "off" || (setting === "auto" && bytesOf(0) <= allowed)) return 0;
  if (setting === "on") return blocks;
  let tooFew = 0, enough = blocks;
  while (enough - tooFew > 1) {
    const middle = (tooFew + enough) >> 1;
    if (bytesOf(middle) <= allowed) enough = middle;
    else tooFew = middle;
  }
  return enough;
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
  limits: MemoryLimits,
  planOf: (sizes: BatchSizes) => readonly MemoryRow[],
): void {
  const allowed = allowedBytes(gpu, limits);
  if (totalBytes(rows) <= allowed) return;
  const fitting = smallerBatches(sizes).find((smaller) => totalBytes(planOf(smaller)) <= allowed);
  throw tooLarge(
    rows,
    gpu,
    limits,
    fitting ? settings(sizes, fitting) : "lower lora_r, or use a smaller base model",
  );
}

function tooLarge(
  rows: readonly MemoryRow[],
  gpu: Pick<Gpu, "name" | "software">,
  limits: MemoryLimits,
  cure: string,
): GpuMemoryError {
  const allowed = allowedBytes(gpu, limits);
  const isGiven = limits.limitGb !== null && limits.limitGb * 1e9 === allowed;
  const parts = rows.map((row) => `${row.what} ${megabytes(row.bytes)}`).join(", ");
  return new GpuMemoryError(
    `The run needs ${megabytes(totalBytes(rows))} on "${gpu.name}" (${parts}) and ` +
      `${isGiven ? "memory_limit_gb allows" : "this machine has free"} ${megabytes(allowed)}: ${cure}`,
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

/** What {@link planQuantizations} needs. */
export interface QuantizationRequest
  extends Pick<FitRequest, "setting" | "blocks" | "limits" | "gpu" | "memory"> {
  /** Plans the run with the linear maps in so many bits, allocating nothing. */
  readonly plan: (quantization: QuantizationPlan["quantization"], limits: BatchLimits) => TrainableModel;
}

/** What the run would take with each quantisation, each with the least recomputation with which it fits. */
export function planQuantizations(
  { setting, blocks, limits, gpu, memory, plan }: QuantizationRequest,
): QuantizationPlan[] {
  const allowed = allowedBytes(gpu, memory);
  return (["none", "8bit", "4bit"] as const).map((quantization) => {
    const bytesOf = (recompute: number) =>
      totalBytes(memoryRows(plan(quantization, { ...limits, recompute })));
    const recomputedBlocks = chooseRecompute(setting, blocks, allowed, bytesOf);
    const model = plan(quantization, { ...limits, recompute: recomputedBlocks });
    const bytes = totalBytes(memoryRows(model));
    return {
      quantization,
      weightBytes: model.decoder.bytes,
      totalBytes: bytes,
      recomputedBlocks,
      fits: allowed === Infinity ? null : bytes <= allowed,
    };
  });
}

/** What {@link fitPlan} needs. */
export interface FitRequest {
  readonly setting: "auto" | "on" | "off";
  readonly blocks: number;
  /** Of the batches as configured. */
  readonly limits: BatchLimits;
  readonly sizes: BatchSizes;
  readonly gpu: Pick<Gpu, "name" | "software">;
  readonly memory: MemoryLimits;
  /** Plans the run, allocating nothing. */
  readonly plan: (limits: BatchLimits) => TrainableModel;
}

/** A model planned with the least recomputation that fits, and its memory. @throws {GpuMemoryError} Where none fits. */
export function fitPlan(
  { setting, blocks, limits, sizes, gpu, memory, plan }: FitRequest,
): { model: TrainableModel; recompute: number; rows: readonly MemoryRow[] } {
  const models = new Map<number, TrainableModel>();
  const modelWith = (recompute: number) => {
    const model = models.get(recompute) ?? plan({ ...limits, recompute });
    models.set(recompute, model);
    return model;
  };
  const bytesOf = (recompute: number) => totalBytes(memoryRows(modelWith(recompute)));
  const allowed = allowedBytes(gpu, memory);
  const recompute = chooseRecompute(setting, blocks, allowed, bytesOf);
  const model = modelWith(recompute);
  const rows = memoryRows(model);
  if (setting === "off" && bytesOf(0) > allowed && bytesOf(blocks) <= allowed) {
    throw tooLarge(rows, gpu, memory, "set gradient_checkpointing to auto");
  }
  checkMemory(rows, sizes, gpu, memory, (smaller) =>
    memoryRows(plan({
      rows: Math.max(smaller.batchSize, smaller.evalBatchSize),
      trainRows: smaller.batchSize,
      length: smaller.length,
      recompute,
    })));
  return { model, recompute, rows };
}
