/**
 * What the adapter (GPU) of this browser is, may and does.
 *
 * @module
 */
import { type Gpu, openGpu } from "../../src/gpu/device.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { measureMatmul } from "../../src/tuning/matmul_rate.ts";
import type { DeviceFacts } from "../protocol/device.ts";

/** Limits that decide what fits. */
const SHOWN_LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxTextureDimension2D",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
] as const;

/** A software adapter computes on the CPU: a smaller product tells as much, sooner. */
const MATMUL_SIZE = { software: 256, hardware: 1024 };

/**
 * Opens the adapter, measures it if that is wanted, and closes it.
 *
 * @throws {GpuUnavailableError} @throws {RangeError} If it miscomputes.
 */
export async function deviceFacts(measure: boolean): Promise<DeviceFacts> {
  const gpu = await openGpu();
  try {
    return {
      name: gpu.name,
      software: gpu.software,
      features: [...gpu.features].sort(),
      limits: Object.fromEntries(SHOWN_LIMITS.map((name) => [name, gpu.limits[name]])),
      matmul: measure ? await matmulRate(gpu) : null,
    };
  } finally {
    await gpu.close();
  }
}

async function matmulRate(gpu: Gpu): Promise<DeviceFacts["matmul"]> {
  const size = gpu.software ? MATMUL_SIZE.software : MATMUL_SIZE.hardware;
  const { gigaflops } = await measureMatmul(gpu, chooseVariants(gpu), size);
  return { size, gigaflops: gigaflops.median };
}
