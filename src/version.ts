/** Version of the package; deno.json says the same. */
export const VERSION = "0.1.0";

/** The runtime and its version, such as `Deno/2.9.6` or a browser's user agent. */
export function runtimeVersion(): string {
  return globalThis.navigator?.userAgent ?? "unknown";
}
