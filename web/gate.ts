/**
 * Whether this browser can train, and if not, which of three things is missing and what to do about it.
 *
 * @module
 */
import { describeAdapter } from "../src/gpu/device.ts";

/** What was found. */
export type Gate =
  | { readonly open: true; readonly adapter: string; readonly software: boolean }
  | {
    readonly open: false;
    readonly missing: "secure context" | "api" | "adapter";
    readonly problem: string;
    readonly cure: string;
  };

/** The part of a page's global scope that decides. */
export interface GateScope {
  readonly isSecureContext: boolean;
  readonly navigator: { readonly gpu?: GPU | undefined };
}

/** Looks for WebGPU and for an adapter. */
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
  return { open: true, adapter: name, software };
}
