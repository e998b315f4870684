/**
 * One GPU for all tests of a file, with the kernels that they compile.
 *
 * @module
 */
import { GpuUnavailableError } from "../../src/errors.ts";
import type { OpenDevice } from "../../src/fine_tune_job.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";

const opened = await openGpu().catch((error: unknown) => {
  if (error instanceof GpuUnavailableError) return error;
  throw error;
});

/** Null where this machine has no adapter. */
export const device: OpenDevice | null = opened instanceof Error
  ? null
  : { gpu: opened, pipelines: new PipelineCache(opened) };

/** Declares a test that needs a GPU. Skipped by name where there is none; fails if a command was refused meanwhile. */
export function onGpu(name: string, test: (device: OpenDevice) => Promise<void>): void {
  Deno.test({
    name: device ? name : `${name} (no adapter)`,
    ignore: !device,
    sanitizeResources: false, // the device outlives a test
    sanitizeOps: false,
    fn: async () => {
      await test(device!);
      device!.gpu.check();
    },
  });
}
