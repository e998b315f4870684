/**
 * Which adapters WebGPU gives, and which one of them is taken. WebGPU lists none: it answers to a preference with one.
 *
 * @module
 */
import { GpuUnavailableError } from "../errors.ts";

/** Preferences that a request may have. */
export const POWER_PREFERENCES = ["high-performance", "low-power"] as const;

/** An adapter, and what gives it. */
export interface OfferedAdapter {
  readonly adapter: GPUAdapter;
  readonly name: string;
  /** Null where it is given as the fallback, which computes on the CPU. */
  readonly powerPreference: GPUPowerPreference | null;
}

const SOFTWARE_NAMES = /llvmpipe|lavapipe|swiftshader|basic render|software/i;

/** An adapter's name for people, and whether it computes on the CPU. */
export function describeAdapter(info: GPUAdapterInfo): { name: string; software: boolean } {
  const name = info.description || info.device || `${info.vendor} ${info.architecture}`.trim() ||
    "unnamed adapter";
  return {
    name,
    software: info.isFallbackAdapter === true || SOFTWARE_NAMES.test(`${name} ${info.architecture}`),
  };
}

/** What WebGPU gives to each preference, and as the fallback; one that it gives to several comes as often. */
export async function* offeredAdapters(entry: GPU): AsyncGenerator<OfferedAdapter> {
  for (const powerPreference of [...POWER_PREFERENCES, null]) {
    const adapter = await entry.requestAdapter(
      powerPreference ? { powerPreference } : { forceFallbackAdapter: true },
    );
    if (adapter) yield { adapter, name: describeAdapter(adapter.info).name, powerPreference };
  }
}

/**
 * The adapter to open.
 *
 * @param choice `high-performance`, `low-power`, or a part of the adapter's name, in any case.
 * @throws {GpuUnavailableError} If there is none, or none of that name.
 */
export async function chooseAdapter(entry: GPU, choice: string): Promise<GPUAdapter> {
  const powerPreference = POWER_PREFERENCES.find((known) => known === choice), names = new Set<string>();
  if (powerPreference) {
    const adapter = await entry.requestAdapter({ powerPreference });
    if (adapter) return adapter;
  } else {
    for await (const { adapter, name } of offeredAdapters(entry)) {
      if (name.toLowerCase().includes(choice.toLowerCase())) return adapter;
      names.add(name);
    }
  }
  if (names.size === 0) {
    throw new GpuUnavailableError(
      "WebGPU found no adapter: install a Vulkan, Metal or D3D12 driver (on Debian or Ubuntu without a GPU: apt-get install mesa-vulkan-drivers)",
    );
  }
  throw new GpuUnavailableError(
    `No adapter has "${choice}" in its name: WebGPU gives ${
      [...names].map((name) => `"${name}"`).join(", ")
    }; ` +
      `name one of these, or ${POWER_PREFERENCES.join(" or ")}`,
  );
}
