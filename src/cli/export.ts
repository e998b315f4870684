/**
 * `lowrank export FORMAT MODEL`: finds the format and hands the model to it.
 *
 * @module
 */
import { didYouMean } from "../config/nearest.ts";
import { QUANTIZATION_WORDS, type QuantizationWord } from "../config.ts";
import { ConfigError, type ConfigIssue } from "../errors.ts";
import { type ExportRequest, openExportSource } from "../export/source.ts";
import type { Folder } from "../storage.ts";
import { withBuckets } from "./bucket_folders.ts";
import { EXPORT_FORMATS, exportFlags, exportHelp } from "./export_flags.ts";
import { choiceIssues, type ExportTask, type ExportWriter } from "./export_task.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { finderFor } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { namedPlugins } from "./plugin_flag.ts";
import { partsOf } from "./plugin_parts.ts";

/** Writers by format, each loaded when it is wanted. */
const WRITERS: Readonly<Record<string, () => Promise<ExportWriter>>> = {
  gguf: async () => (await import("./export_gguf.ts")).gguf,
  "gguf-lora": async () => (await import("./export_gguf_lora.ts")).ggufLora,
  ollama: async () => (await import("./export_ollama.ts")).ollama,
  onnx: async () => (await import("./export_onnx.ts")).onnx,
};

/** What tests replace. */
export interface ExportOutside {
  readonly files?: (uri: string) => Folder;
}

/**
 * Exports a model.
 *
 * @throws {ConfigError} For wrong usage, before anything is read.
 * @throws {StorageNotFoundError} @throws {StorageDeniedError} @throws {ModelFormatError} @throws {UnsupportedModelError} If
 * the model is not there, or cannot be used or written in the format.
 */
export async function exportModel(
  [format = "", ...args]: readonly string[],
  io: ExportTask["io"] & Pick<CliIo, "untilInterrupted" | "loadPlugins">,
  { files = openFolder }: ExportOutside = {},
): Promise<void> {
  if (format === "--help" || format === "-h") return io.stdout.write(exportHelp());
  const known = Object.hasOwn(EXPORT_FORMATS, format) ? EXPORT_FORMATS[format] : undefined;
  if (!known) throw new ConfigError([noFormat(format)]);
  const flags = parseFlags(args, exportFlags(known));
  if (flags.values.get("help")) return io.stdout.write(exportHelp(format));
  const writer = await WRITERS[format]!();
  const issues = [
    ...flags.issues,
    ...(flags.issues.length > 0 ? [] : modelIssues(flags)),
    ...choiceIssues(flags, "quantization", QUANTIZATION_WORDS),
    ...writer.check(flags),
  ];
  if (issues.length > 0) throw new ConfigError(issues);
  const request: ExportRequest = {
    model: flags.positionals[0]!,
    adapter: textOf(flags, "adapter"),
    baseModel: textOf(flags, "base_model"),
    quantization: textOf(flags, "quantization") as QuantizationWord | null,
    chatTemplate: textOf(flags, "chat_template"),
  };
  const { open, modelFamilies: families } = partsOf(await namedPlugins(flags, io));
  const paths = { files: [request.chatTemplate], folders: [request.adapter] };
  const read = await withBuckets(files, paths, open);
  await io.untilInterrupted(async (signal) => {
    const { findModel } = finderFor(files, io.stderr, open);
    const source = await openExportSource(files, request, { findModel, families, read });
    try {
      await writer.write({ flags, source, model: request.model, files, io, signal });
    } finally {
      await source.close();
    }
  });
}

function noFormat(format: string): ConfigIssue {
  const formats = Object.keys(EXPORT_FORMATS);
  if (format === "") return { path: "FORMAT", message: `is missing: name one of ${formats.join(", ")}` };
  const message = `is not a format${didYouMean(format, formats)}: ${formats.join(", ")} are`;
  return { path: `"${format}"`, message };
}

function modelIssues({ positionals: [model, ...more] }: ParsedFlags): ConfigIssue[] {
  if (model === undefined) {
    return [{
      path: "MODEL",
      message: "is missing: name the folder of a run, a model or an adapter, or a GGUF file",
    }];
  }
  return more.map((word) => ({
    path: `"${word}"`,
    message: "is not expected: one model is exported at a time",
  }));
}
