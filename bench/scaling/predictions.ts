/**
 * Machines and runs that are not here, for the model to speak about. Nothing in this file was measured.
 *
 * @module
 */
import type { Link, StepWork } from "./links.ts";

/** GPUs and what is between them. */
export interface Machine {
  readonly name: string;
  readonly gpus: number;
  readonly link: Link;
}

/** Ranks of one host share its memory: eight of them leave each about this much of 100 GB/s, twice read and written. */
const SHARED_MEMORY: Link = { name: "shared memory", latencySeconds: 2e-6, bytesPerSecond: 4e9 };

/** 25 gigabits a second, of which TCP leaves nine tenths. */
const ETHERNET: Link = { name: "25 GbE", latencySeconds: 30e-6, bytesPerSecond: 0.9 * 25e9 / 8 };

export const MACHINES: readonly Machine[] = [
  { name: "8 GPUs of a host", gpus: 8, link: SHARED_MEMORY },
  { name: "64 GPUs, 25 GbE", gpus: 64, link: ETHERNET },
];

/** A run as it would be on a GPU. */
export interface PredictedRun {
  readonly id: string;
  readonly name: string;
  readonly work: StepWork;
}

/** Floating-point operations a second that kernels of WebGPU get out of a large GPU: an assumption. */
const FLOPS = 20e12;

/** Bytes a second between host and GPU in either direction, copies in the driver with it: an assumption. */
const HOST_BYTES_PER_SECOND = 6e9;

/** Forward and backward through frozen weights: two products forward, two backward, of a multiply and an addition. */
function microBatchSeconds(parameters: number, tokens: number): number {
  return 4 * parameters * tokens / FLOPS;
}

function run(id: string, name: string, parameters: number, trained: number, tokens: number): PredictedRun {
  const bytes = 4 * trained;
  return {
    id,
    name,
    work: {
      microBatches: 64,
      microBatchSeconds: microBatchSeconds(parameters, tokens),
      onceSeconds: 2 * bytes / HOST_BYTES_PER_SECOND,
      bytes,
    },
  };
}

export const RUNS: readonly PredictedRun[] = [
  run("smollm2", "SmolLM2 135M, rank 8", 135e6, 2.44e6, 4096),
  run("7b", "a 7B, rank 16", 7e9, 40e6, 4096),
];
