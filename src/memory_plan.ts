/**
 * The memory plan of a run: what will be taken, known before anything is, and refused where it does not fit.
 *
 * @module
 */
import { GpuMemoryError } from "./errors.ts";
import type { Gpu } from "./gpu/device.ts";
import type { MemoryRow } from "./job.ts";
import type { LoraModel } from "./models/lora_model.ts";

const GIB = 2 ** 30;

/** GPU memory by purpose, bytes; the activations are those of the largest batch. */
export function memoryRows(model: LoraModel): MemoryRow[] {
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

/**
 * Holds a plan against the user's limit and, for a software adapter, against the machine's memory. WebGPU tells no
 * hardware adapter's free memory.
 *
 * @param limitGb 10⁹ bytes, null for none.
 * @throws {GpuMemoryError} With the numbers and the cheapest setting that would fit.
 */
export function checkMemory(
  rows: readonly MemoryRow[],
  gpu: Gpu,
  limitGb: number | null,
  availableBytes: number | undefined,
  batchSize: number,
): void {
  const limits = [
    { bytes: limitGb === null ? Infinity : limitGb * 1e9, from: "memory_limit_gb allows" },
    { bytes: gpu.software ? availableBytes ?? Infinity : Infinity, from: "this machine has free" },
  ];
  const need = totalBytes(rows);
  const perBatch = rows.filter(({ what }) => what === "activations" || what === "staged operands");
  const fixed = need - totalBytes(perBatch);
  for (const { bytes, from } of limits) {
    if (need <= bytes) continue;
    const fitting = Math.floor(batchSize * (bytes - fixed) / (need - fixed));
    const cure = fitting >= 1
      ? `set batch_size to ${fitting} (and raise gradient_accumulation_steps to keep the effective size)`
      : bytes > fixed
      ? "lower max_length"
      : "use a smaller base model: its weights and the adapter alone do not fit";
    throw new GpuMemoryError(
      `The run needs ${gib(need)} on "${gpu.name}" (${
        rows.map((row) => `${row.what} ${gib(row.bytes)}`).join(", ")
      }) and ${from} ${gib(bytes)}: ${cure}`,
    );
  }
}

function gib(bytes: number): string {
  return `${(bytes / GIB).toFixed(2)} GiB`;
}
