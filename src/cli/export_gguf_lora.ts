/**
 * `lowrank export gguf-lora`.
 *
 * @module
 */
import { exportGgufLora, type GgufLoraType, LORA_TYPES } from "../export/gguf_lora.ts";
import { choiceIssues, type ExportWriter, outputFile } from "./export_task.ts";
import { formatCount } from "./format.ts";
import { isOn, textOf } from "./generate_flags.ts";

const TYPES = Object.keys(LORA_TYPES).map((name) => name.toLowerCase());

/** Writes the adapter. */
export const ggufLora: ExportWriter = {
  check: (flags) => choiceIssues(flags, "type", TYPES),
  async write(task) {
    const { flags, source, io } = task;
    const { folder, name, uri } = await outputFile(task, `${source.name}-lora.gguf`);
    const type = (textOf(flags, "type") ?? "f32").toUpperCase() as GgufLoraType;
    await exportGgufLora(folder, name, { source, type });
    if (isOn(flags, "quiet")) return;
    io.stdout.write(`${uri}: ${formatCount(source.updates.size)} maps in ${type}\n`);
  },
};
