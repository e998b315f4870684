import { byKernel, bySize } from "../../src/explain/kernel_rows.ts";
import type { ExplainReport } from "../../src/explain/report.ts";
import type { DispatchTime } from "../../src/gpu/profile.ts";

const ROOFLINE = { gigaflops: 20, matmulSize: 512, gigabytes: 10 };

const ENTRY: DispatchTime = {
  section: "forward",
  kernel: "matmul_forward",
  output: "y",
  sizes: { rows: 32, cols: 8, x_cols: 16 },
  constants: { LANES: 8 },
  sources: { x: "texture" },
  bytesRead: 4e6,
  bytesWritten: 1e6,
  flops: 8e7,
  ms: 10,
};

/** A report of made-up numbers on a software adapter: 32 tokens in 12.5 ms, 10 ms of them in one kernel at 40 %. */
export function madeUpReport(changes: Partial<ExplainReport> = {}): ExplainReport {
  return {
    lowrank: "0.1.0",
    madeAt: "2026-01-02T03:04:05.678Z",
    run: "runs/ember",
    record: {
      status: "completed",
      config: { lora_r: 8, base_model: "base" },
      seed: 42,
      started_at: "2026-01-01T03:04:05.000Z",
      finished_at: "2026-01-01T03:05:05.000Z",
      versions: { lowrank: "0.1.0" },
      adapter: { name: "llvmpipe", software: true },
      base_model: {
        path: "base",
        model_type: "llama",
        parameters: 1000,
        trainable_parameters: 100,
        quantization: null,
      },
      data: [],
      micro_batch: { rows: 2, length: 16, recomputed_blocks: 1 },
      total_steps: 2,
      steps: 2,
      eval_loss_before: 3,
      eval_loss_after: 2,
      exact_match_before: null,
      exact_match_after: null,
      merged: null,
      error: null,
    },
    metrics: [1, 2].map((step) => ({
      step,
      epoch: step,
      loss: 3 - step,
      eval_loss: step === 2 ? 1.5 : null,
      learning_rate: 1e-4,
      token_accuracy: 0.5,
      eval_token_accuracy: step === 2 ? 0.25 : null,
      grad_norm: 1,
      tokens: 32 * step,
      tokens_per_second: 2000 * step,
    })),
    device: { name: "llvmpipe", software: true, runtime: "Deno 2", platform: "linux", driver: null },
    choices: ["operands from textures: it is faster"],
    microBatch: { rows: 2, length: 16, recomputedBlocks: 1 },
    times: {
      profiles: 3,
      wallMs: 12.5,
      kernelMs: 10,
      roofline: ROOFLINE,
      roofShare: 0.4,
      sections: [{ section: "forward", ms: 10 }],
      byKernel: byKernel([ENTRY], ROOFLINE),
      bySize: bySize([ENTRY], ROOFLINE),
    },
    memoryRows: [{ what: "base weights", bytes: 4000 }, { what: "activations", bytes: 300 }],
    memory: {
      liveBytes: [100, 300, 300, 50],
      slotBytes: 300,
      sections: [{ name: "forward", first: 0, end: 2 }, { name: "backward", first: 2, end: 4 }],
      peak: { at: 1, bytes: 300 },
      atPeak: [{ label: "x", bytes: 200, first: 0, last: 2 }, { label: "y", bytes: 100, first: 1, last: 2 }],
    },
    ...changes,
  };
}
