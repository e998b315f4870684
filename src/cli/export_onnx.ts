/**
 * `lowrank export onnx`.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import {
  exportOnnx,
  ONNX_FOLDER,
  ONNX_TYPES,
  type OnnxExport,
  type OnnxModelType,
} from "../export/onnx_model.ts";
import type { Folder } from "../storage.ts";
import { ExportProgress } from "./export_progress.ts";
import { besideModel, choiceIssues, type ExportTask, type ExportWriter } from "./export_task.ts";
import { formatBytes } from "./format.ts";
import { isOn, textOf } from "./generate_flags.ts";

const LOGITS_WORDS = ["all", "last"];
const TYPE_WORDS = Object.keys(ONNX_TYPES).map((name) => name.toLowerCase());

/** Writes a folder for transformers.js. */
export const onnx: ExportWriter = {
  check: (flags) => [
    ...choiceIssues(flags, "type", TYPE_WORDS),
    ...choiceIssues(flags, "logits", LOGITS_WORDS),
  ],
  async write(task) {
    const { flags, source, io, files, signal } = task, quiet = isOn(flags, "quiet");
    const type = (textOf(flags, "type") ?? "f32").toUpperCase() as OnnxModelType;
    const logits = textOf(flags, "logits") === "last" ? "last" : "all";
    const uri = (textOf(flags, "out") ?? besideModel(task.model, "onnx")).replace(/(?<=.)\/+$/, "");
    const folder = files(uri), { file, dtype } = ONNX_TYPES[type];
    await refuseUsed(task, folder, uri, file);
    const progress = new ExportProgress(`${uri}/${ONNX_FOLDER}/${file}`, quiet ? null : io.stderr);
    let written: OnnxExport;
    try {
      const onProgress = progress.show.bind(progress);
      written = await exportOnnx(folder, { source, type, logits, signal, onProgress });
    } finally {
      progress.close();
    }
    if (quiet) return;
    const what = source.adapter === null ? "" : ", base and adapter merged";
    const paths = written.files.map((name) => `${ONNX_FOLDER}/${name}`).join(", ");
    io.stdout.write(`${uri}: ${paths}, ${formatBytes(written.bytes)}${what}\n`);
    const path = /^\.{0,2}\//.test(uri) ? uri : `./${uri}`; // else transformers.js takes it for a name on the Hub
    io.stdout.write(`pipeline("text-generation", "${path}", { dtype: "${dtype}" })\n`);
  },
};

/**
 * A folder of something else, or with this very file. A model of another element type may be there: both go together.
 *
 * @throws {ConfigError}
 */
async function refuseUsed(
  { flags, model }: ExportTask,
  folder: Folder,
  uri: string,
  file: string,
): Promise<void> {
  const isModel = uri === model.replace(/(?<=.)\/+$/, "");
  if (isModel) {
    throw new ConfigError([{ path: "--out", message: `"${uri}" is the model that is exported` }]);
  }
  if (isOn(flags, "overwrite")) return;
  const found = await folder.list(),
    others = Object.values(ONNX_TYPES).filter((other) => other.file !== file);
  const inside = folder.folder(ONNX_FOLDER);
  const together = await Promise.all(others.map((other) => inside.exists(other.file)));
  const isSame = await inside.exists(file);
  if (!isSame && (found.length === 0 || together.includes(true))) return;
  const holds = isSame ? `${ONNX_FOLDER}/${file}` : found.slice(0, 3).join(", ");
  const message = `"${uri}" holds files already (${holds}): name another folder, or set --overwrite`;
  throw new ConfigError([{ path: "--out", message }]);
}
