/**
 * A process that loads a model, trains a few steps and tells what they took: times and memory of a process of its own,
 * which nothing before it has warmed or grown.
 *
 *     deno run --allow-all bench/trained_child.ts '{"model": DIR, "length": 256, "rank": 8, "recompute": false, "steps": 2}'
 *
 * @module
 */
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { openGpu } from "../src/gpu/device.ts";
import { totalBytes } from "../src/memory_plan.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { GpuLedger } from "./gpu_ledger.ts";
import { LAUNCHER_MEMORY } from "./launcher_memory.ts";
import { LoadedModel, type StepSizes } from "./loaded_model.ts";
import { peakResidentOf } from "./process_memory.ts";

/** What the process is asked to do. */
export interface ChildRequest extends StepSizes {
  readonly model: string;
  /** Steps after the first one. */
  readonly steps: number;
}

/** What it tells. */
export interface ChildReport {
  /** GPU memory by the plan, bytes. */
  readonly plannedBytes: number;
  /** GPU memory asked for at most at once, bytes. */
  readonly countedBytes: number;
  /** Resident memory at most, bytes; null where the system does not tell. */
  readonly peakResidentBytes: number | null;
  /** Frozen weights on the GPU, bytes. */
  readonly baseBytes: number;
  /** Bytes and values of those that are kept packed. */
  readonly packed: { readonly bytes: number; readonly values: number };
  readonly pipelines: number;
  readonly compileMs: number;
  readonly firstStepMs: number;
  /** When the first step was done, milliseconds since 1970. */
  readonly firstStepEpochMs: number;
  readonly stepMs: readonly number[];
}

const SELF = decodeURIComponent(new URL(import.meta.url).pathname);
const CONFIG = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);

/** Runs the process and waits. @throws {Error} If it fails, with its last words. */
export async function trainInChild(
  request: ChildRequest,
  env: Readonly<Record<string, string>> = {},
): Promise<ChildReport> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--config", CONFIG, "--no-check", "--allow-all", SELF, JSON.stringify(request)],
    env: { ...LAUNCHER_MEMORY, ...env },
  }).output();
  if (!success) {
    throw new Error(
      `Cannot measure ${JSON.stringify(request)}: ${new TextDecoder().decode(stderr).trim().slice(-500)}`,
    );
  }
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!);
}

async function train({ model: folder, steps, ...sizes }: ChildRequest): Promise<ChildReport> {
  const gpu = await openGpu();
  const ledger = new GpuLedger(gpu.device);
  const model = await LoadedModel.open({ gpu, variants: chooseVariants(gpu) }, folder, sizes);
  const stepMs: number[] = [];
  let firstStepEpochMs = 0;
  for (let step = 0; step <= steps; step++) {
    const started = performance.now();
    await model.step();
    stepMs.push(performance.now() - started);
    if (step === 0) firstStepEpochMs = Date.now();
  }
  return {
    plannedBytes: totalBytes(model.planned),
    countedBytes: ledger.peakBytes,
    peakResidentBytes: await peakResidentOf("self"),
    baseBytes: model.base.bytes,
    packed: model.base.packed,
    pipelines: ledger.pipelines,
    compileMs: ledger.compileMs,
    firstStepMs: stepMs[0]!,
    firstStepEpochMs,
    stepMs: stepMs.slice(1),
  };
}

if (import.meta.main) {
  quietMesa();
  console.log(JSON.stringify(await train(JSON.parse(Deno.args[0]!))));
  Deno.exit(0); // ends a software driver's threads with the process
}
