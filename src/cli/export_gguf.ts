/**
 * `lowrank export gguf`.
 *
 * @module
 */
import { exportGguf, type GgufExport, type GgufModelType, MODEL_TYPES } from "../export/gguf_model.ts";
import { ExportProgress } from "./export_progress.ts";
import {
  choiceIssues,
  type ExportPlace,
  type ExportTask,
  type ExportWriter,
  outputFile,
} from "./export_task.ts";
import { formatBytes } from "./format.ts";
import { isOn, textOf } from "./generate_flags.ts";
import { painter, wantsColor } from "./paint.ts";

/** Words of `--type`. */
export const TYPE_WORDS: readonly string[] = Object.keys(MODEL_TYPES).map((name) => name.toLowerCase());

/** The type that `--type` names, F16 without one. */
export function modelType({ flags }: Pick<ExportTask, "flags">): GgufModelType {
  return (textOf(flags, "type") ?? "f16").toUpperCase() as GgufModelType;
}

/** Writes the merged model. */
export const gguf: ExportWriter = {
  check: (flags) => choiceIssues(flags, "type", TYPE_WORDS),
  async write(task) {
    const place = await outputFile(task, `${task.source.name}-${modelType(task).toLowerCase()}.gguf`);
    await writeModel(task, place);
  },
};

/** Writes the model to a place, and tells about it. */
export async function writeModel(task: ExportTask, { folder, name, uri }: ExportPlace): Promise<GgufExport> {
  const { source, signal, io, flags } = task, type = modelType(task), quiet = isOn(flags, "quiet");
  const progress = new ExportProgress(uri, quiet ? null : io.stderr);
  let written: GgufExport;
  try {
    const onProgress = progress.show.bind(progress);
    written = await exportGguf(folder, name, { source, type, signal, onProgress });
  } finally {
    progress.close();
  }
  const paint = painter(wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stderr));
  for (const warning of warningsOf(written)) io.stderr.write(`${paint("yellow", "warning:")} ${warning}\n`);
  if (!quiet) {
    const what = source.adapter === null ? "" : ", base and adapter merged";
    io.stdout.write(`${uri}: ${written.tensors} tensors in ${type}, ${formatBytes(written.bytes)}${what}\n`);
  }
  return written;
}

function warningsOf({ warnings, unpacked }: GgufExport): string[] {
  if (unpacked.length === 0) return [...warnings];
  const some = unpacked.slice(0, 3).join(", ");
  return [
    ...warnings,
    `${unpacked.length} matrices stay in F16 (${some}${unpacked.length > 3 ? ", ..." : ""}): ` +
    "their rows are no whole number of blocks of 32",
  ];
}
