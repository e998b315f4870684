/**
 * `lowrank/safetensors`: safetensors files, read tensor by tensor and written as Python's `safetensors` writes them. Needs
 * no GPU and runs in Deno, Node and the browser.
 *
 * ```ts
 * import { MemoryFolder, SafetensorsFile, writeSafetensors } from "lowrank/safetensors";
 *
 * const folder = new MemoryFolder();
 * const values = new Float32Array([1, 2, 3, 4]);
 * await writeSafetensors(folder, "m.safetensors", [
 *   { name: "w", dtype: "F32", shape: [2, 2], data: new Uint8Array(values.buffer) },
 * ]);
 * const file = await SafetensorsFile.open(folder, "m.safetensors");
 * console.log(await file.readF32("w")); // Float32Array [1, 2, 3, 4]
 * ```
 *
 * @module
 */
export {
  PYTORCH_METADATA,
  SafetensorsFile,
  type TensorData,
  type TensorInfo,
  type TensorSource,
  type TensorToWrite,
  writeSafetensors,
} from "../checkpoint/safetensors.ts";
export { decodeFloats, encodeFloats, type FloatDtype } from "../quant/float16.ts";
export * from "../errors.ts";
export type { CopyOptions, FileReader, FileWriter, Folder, ReadableFolder } from "../storage.ts";
export { MemoryFolder } from "../storage/memory.ts";
