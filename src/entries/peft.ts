/**
 * `lowrank/peft`: adapter folders as PEFT writes and reads them. Needs no GPU and runs in Deno, Node and the browser.
 *
 * ```ts
 * import { loraKey, MemoryFolder, readAdapter, writeAdapter } from "lowrank/peft";
 *
 * const folder = new MemoryFolder(), path = "model.layers.0.self_attn.q_proj";
 * const zeros = (rows: number, cols: number) => ({ shape: [rows, cols], data: new Float32Array(rows * cols) });
 * await writeAdapter(folder, {
 *   config: { baseModel: "models/tiny", rank: 2, alpha: 4, dropout: 0, targetModules: ["q_proj"] },
 *   tensors: new Map([[loraKey(path, "A"), zeros(2, 8)], [loraKey(path, "B"), zeros(8, 2)]]),
 * });
 * console.log((await readAdapter(folder)).config.rank); // 2
 * ```
 *
 * @module
 */
export {
  type Adapter,
  type AdapterConfig,
  type AdapterTensor,
  loraKey,
  type LoraUpdate,
  loraUpdates,
  readAdapter,
  writeAdapter,
} from "../checkpoint/adapter.ts";
export * from "../errors.ts";
export type { CopyOptions, FileReader, FileWriter, Folder, ReadableFolder } from "../storage.ts";
export { MemoryFolder } from "../storage/memory.ts";
