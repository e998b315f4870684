/**
 * Whether this browser can train, and if not, which of four things is missing and what to do about it.
 *
 * @module
 */
import { describeAdapter } from "../src/gpu/adapters.ts";

/** What was found. */
export type Gate =
  | { readonly open: true; readonly adapter: string; readonly software: boolean }
  | {
    readonly open: false;
    readonly missing: "secure context" | "api" | "adapter" | "limit";
    readonly problem: string;
    readonly cure: string;
  };

/** As long as it is not known, nothing is said against it. */
export const LOOKING: Gate = { open: true, adapter: "", software: false };

/** The part of a global scope that decides. */
export interface GateScope {
  readonly isSecureContext: boolean;
  readonly navigator: { readonly gpu?: GPU | undefined };
}

/** WebGPU's defaults for what the kernels rely on; adapters of its compatibility mode may stay below them. */
const NEEDED_LIMITS = {
  maxBufferSize: 256 << 20,
  maxStorageBufferBindingSize: 128 << 20,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupStorageSize: 16 << 10,
} as const;

/** Looks for WebGPU and for an adapter that has what every kernel needs. */
export async function webGpuGate(scope: GateScope): Promise<Gate> {
  // without a secure context there is no API either, and the address is what to mend
  if (!scope.isSecureContext) {
    return {
      open: false,
      missing: "secure context",
      problem: "This page came over an insecure connection, where browsers offer no WebGPU.",
      cure: "Open it by https, or from this machine as http://localhost.",
    };
  }
  const { gpu } = scope.navigator;
  if (!gpu) {
    return {
      open: false,
      missing: "api",
      problem: "This browser has no WebGPU.",
      cure: "Take a current Chrome, Edge, Firefox or Safari; on Linux, Chrome may need the flag " +
        "chrome://flags/#enable-unsafe-webgpu.",
    };
  }
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) {
    return {
      open: false,
      missing: "adapter",
      problem: "This browser has WebGPU, but found no graphics adapter for it.",
      cure: "Switch on hardware acceleration in the browser's settings, and update the graphics driver; " +
        "chrome://gpu says what is blocked.",
    };
  }
  const { name, software } = describeAdapter(adapter.info);
  for (const [limit, needed] of Object.entries(NEEDED_LIMITS)) {
    const found = adapter.limits[limit as keyof typeof NEEDED_LIMITS];
    if (found >= needed) continue;
    return {
      open: false,
      missing: "limit",
      problem: `The graphics adapter "${name}" allows a ${limit} of ${found}, and training needs ${needed}.`,
      cure: "Use a newer device or graphics driver; chrome://gpu lists what else this browser can use.",
    };
  }
  return { open: true, adapter: name, software };
}
