/**
 * `lowrank/gguf`: GGUF files, their metadata and their tensors as numbers. Needs no GPU and runs in Deno, Node and the
 * browser.
 *
 * ```ts ignore
 * import { GgufFile, MemoryFolder } from "lowrank/gguf";
 *
 * const folder = new MemoryFolder("models", { "tiny.gguf": bytes });
 * const file = await GgufFile.open(folder, "tiny.gguf");
 * console.log(file.metadata.get("general.architecture"), [...file.infos.keys()]);
 * const embedding = await file.readF32("token_embd.weight");
 * ```
 *
 * @module
 */
export { GgufFile, type GgufNumbers, type GgufTensorInfo, type GgufValue } from "../checkpoint/gguf.ts";
export {
  type GgufEntry,
  type GgufTensorToWrite,
  type GgufToWrite,
  writeGguf,
} from "../checkpoint/gguf_writer.ts";
export { DECODABLE_TYPES, decodeBlocks, encodeBlocks } from "../quant/gguf_blocks.ts";
export * from "../errors.ts";
export type { CopyOptions, FileReader, FileWriter, Folder, ReadableFolder } from "../storage.ts";
export { MemoryFolder } from "../storage/memory.ts";
