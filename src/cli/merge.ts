/**
 * `lowrank merge`.
 *
 * @module
 */
import { readAdapter } from "../checkpoint/adapter.ts";
import { mergeModel } from "../checkpoint/merge.ts";
import { ConfigError } from "../errors.ts";
import { mergeParts, ModelManager } from "../model_manager.ts";
import { CONFIG_FILE } from "../models/config.ts";
import { samePath } from "../output_folder.ts";
import type { Folder } from "../storage.ts";
import { withBuckets } from "./bucket_folders.ts";
import { formatBytes } from "./format.ts";
import { isOn, readFlags, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { finderFor } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { namedPlugins } from "./plugin_flag.ts";
import { partsOf } from "./plugin_parts.ts";
import { MERGE_FLAGS, mergeHelp } from "./verb_flags.ts";

const NEEDED = ["base_model", "adapter", "output_dir"] as const;

/**
 * Writes the merged model.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @throws {ConfigError} For wrong usage, and for an output folder that holds a model.
 * @throws {ModelFormatError} If the adapter is not one of this base model, or a file is damaged.
 * @throws {StorageNotFoundError} @throws {StorageDeniedError} @throws {UnsupportedModelError}
 */
export async function merge(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "loadPlugins">,
  files: (uri: string) => Folder = openFolder,
): Promise<void> {
  const flags = readFlags(args, MERGE_FLAGS);
  if (!flags) return io.stdout.write(mergeHelp());
  const paths = {
    base_model: textOf(flags, "base_model") ?? textOf(flags, "model"),
    adapter: textOf(flags, "adapter") ?? textOf(flags, "adapter_path"),
    output_dir: textOf(flags, "output_dir") ?? textOf(flags, "out"),
  };
  const missing = NEEDED.filter((name) => paths[name] === null);
  if (missing.length > 0) {
    throw new ConfigError(
      missing.map((name) => ({ path: `--${name.replace("_", "-")}`, message: "is missing" })),
    );
  }
  const { base_model: baseUri, adapter: adapterUri, output_dir: outUri } = paths as Record<
    typeof NEEDED[number],
    string
  >;
  const out = files(outUri);
  await refuseModel(out, outUri, baseUri);
  const { open, modelFamilies } = partsOf(await namedPlugins(flags, io));
  const readable = await withBuckets(files, { folders: [adapterUri] }, open);
  const { findModel } = finderFor(files, io.stderr, open, isOn(flags, "quiet"));
  const base = await new ModelManager(files, findModel, modelFamilies).open(baseUri);
  try {
    const parts = mergeParts(base, ModelManager.named(base, await readAdapter(readable(adapterUri))));
    const progress = new ProgressLine(isOn(flags, "quiet") ? null : io.stderr);
    await mergeModel({
      ...parts,
      out,
      onProgress: ({ bytes, totalBytes }) => progress.show(bytes, totalBytes),
    });
    progress.end();
  } finally {
    await base.weights.close();
  }
  if (!isOn(flags, "quiet")) io.stdout.write(`merged model: ${outUri}\n`);
}

async function refuseModel(out: Folder, outUri: string, baseUri: string): Promise<void> {
  const isTaken = samePath(outUri, baseUri) || await out.exists(CONFIG_FILE);
  if (!isTaken) return;
  const message = `"${outUri}" holds a model already: name a new folder`;
  throw new ConfigError([{ path: "--output-dir", message }]);
}

/** `merging 37 %`, on one line of a terminal, in whole per cents. */
class ProgressLine {
  readonly #sink: CliIo["stderr"] | null;
  #shown = -1;

  constructor(sink: CliIo["stderr"] | null) {
    this.#sink = sink?.isTerminal ? sink : null;
  }

  show(bytes: number, totalBytes: number): void {
    const percent = Math.floor(100 * bytes / totalBytes);
    if (percent === this.#shown) return;
    this.#shown = percent;
    this.#sink?.write(`\rmerging ${percent} % of ${formatBytes(totalBytes)}`);
  }

  end(): void {
    if (this.#shown >= 0) this.#sink?.write("\n");
  }
}
