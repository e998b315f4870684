/**
 * A second implementation of WebGPU in Deno: npm:webgpu, which is Dawn with its compiler Tint, on the driver that
 * VK_ICD_FILENAMES names. Deno's own WebGPU reads that variable too, so a process uses one of the two.
 *
 * @module
 */

const entries: GPU[] = []; // Dawn's crashes the process once it is collected

/** Dawn's counterpart of `navigator.gpu`. */
export async function dawnEntry(): Promise<GPU> {
  // Dawn polls by setImmediate, and Deno's loop can starve on immediates that ask for the next one
  Object.assign(globalThis, { setImmediate: (poll: () => void) => setTimeout(poll, 0) });
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const entry = create([]);
  entries.push(entry);
  return entry;
}
