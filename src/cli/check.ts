/**
 * `lowrank check DATA...`: counts, lengths, bad lines and what is trained, before anything is.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../config.ts";
import { packRows } from "../data/pack.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { type DataCheck, DataManager, type SourceCheck } from "../data_manager.ts";
import { ConfigError, DatasetFormatError } from "../errors.ts";
import { type FindModel, ModelManager } from "../model_manager.ts";
import type { Plugin } from "../plugin.ts";
import { fileAt, type Folder, type ReadableFolder, readText } from "../storage.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { type ReadPaths, withBuckets } from "./bucket_folders.ts";
import { CHECK_FLAGS, checkHelp, OWN_FLAGS } from "./check_flags.ts";
import { formatCheck } from "./check_text.ts";
import { type ParsedFlags, parseFlags } from "./flags.ts";
import { isOn, textOf } from "./generate_flags.ts";
import { dataFiles } from "./hub.ts";
import type { CliIo } from "./io.ts";
import { finderFor } from "./model_source.ts";
import { openFolder } from "./open_folder.ts";
import { painter, wantsColor } from "./paint.ts";
import { partsOf, type PluginParts } from "./plugin_parts.ts";
import { resolveWithPlugins } from "./sources.ts";

/**
 * Prints what the files hold, then fails if training would refuse them.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @param outside Opens a bucket; default with the credentials of the environment.
 * @throws {ConfigError} For wrong usage.
 * @throws {DatasetFormatError} With every bad line, unless they are to be skipped.
 * @throws {StorageNotFoundError} @throws {StorageDeniedError} @throws {ModelFormatError}
 */
export async function check(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "loadPlugins">,
  files: (uri: string) => Folder = openFolder,
  outside?: OpenStorage,
): Promise<void> {
  const flags = parseFlags(args, CHECK_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(checkHelp());
  const { config, plugins } = await configOf(flags, io), shown = shownRows(flags);
  const parts = partsOf(plugins), open = outside ?? parts.open;
  const model = textOf(flags, "base_model") ?? textOf(flags, "model");
  const tokenizer = model === null
    ? null
    : await tokenizerOf(model, files, finderFor(files, io.stderr, open).findModel, parts);
  const readable = await withBuckets(files, pathsOf(config), open);
  const found = await checkData(config, tokenizer, shown, readable, parts);
  if (isOn(flags, "json")) {
    io.stdout.write(`${JSON.stringify(checkJson(found, config), null, 2)}\n`);
  } else {
    const paint = painter(wantsColor(textOf(flags, "color") ?? "auto", io.env, io.stdout));
    io.stdout.write(formatCheck(found, { tokenizer, maxLength: config.training.maxLength, paint }));
  }
  const issues = [found.train, found.eval].flatMap((source) => source?.refusals ?? []);
  if (issues.length > 0) throw new DatasetFormatError(issues);
}

/** The job's configuration, of which only what concerns data is used. @throws {ConfigError} */
async function configOf(
  { values, positionals, issues }: ParsedFlags,
  { env, loadPlugins }: Pick<CliIo, "env" | "loadPlugins">,
): Promise<{ readonly config: FineTuneJobConfig; readonly plugins: readonly Plugin[] }> {
  if (issues.length > 0) throw new ConfigError(issues);
  if (positionals.length === 0) {
    throw new ConfigError([{ path: "DATA", message: "is missing: name the files to check" }]);
  }
  const own = new Set(OWN_FLAGS.flatMap(({ name, aliases }) => [name, ...aliases]));
  const options = [...values].filter(([name]) => !own.has(name.replaceAll("_", "-")));
  const flags = {
    ...Object.fromEntries(options),
    base_model: "none",
    output_model_name: "check",
    training_data_path: positionals.join(","),
  };
  return await resolveWithPlugins({ flags, env }, loadPlugins);
}

function shownRows(flags: ParsedFlags): number {
  const text = textOf(flags, "rows") ?? "2";
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new ConfigError([{ path: "--rows", message: `must be a whole number: current value is "${text}"` }]);
}

/** The tokenizer of a model, which needs no weights for this unless they are in the same GGUF file. */
async function tokenizerOf(
  uri: string,
  files: (uri: string) => Folder,
  findModel: FindModel | undefined,
  { modelFamilies }: PluginParts,
): Promise<Tokenizer> {
  const found = await findModel?.(uri, { weights: false });
  const isFile = found ? found.file !== null : /\.gguf$/i.test(uri);
  if (!isFile) return await Tokenizer.load(found?.folder ?? files(uri));
  const base = await new ModelManager(files, findModel, modelFamilies).open(uri);
  try {
    return await Tokenizer.load(base.folder);
  } finally {
    await base.weights.close();
  }
}

function pathsOf({ job, training }: FineTuneJobConfig): ReadPaths {
  return { files: [job.trainingDataPath, job.evalDataPath, training.chatTemplatePath].flat() };
}

async function checkData(
  { job, training }: FineTuneJobConfig,
  tokenizer: Tokenizer | null,
  shown: number,
  files: (uri: string) => ReadableFolder,
  { dataFormats: formats }: PluginParts,
): Promise<DataCheck> {
  const fileOf = (uri: string) => fileAt(files, uri);
  const template = training.chatTemplatePath === null ? null : fileOf(training.chatTemplatePath);
  const manager = new DataManager({
    files: fileOf,
    dataFiles,
    formats,
    ...(tokenizer ? { tokenizer } : {}),
    chatTemplate: template && await readText(template.folder, template.name),
    allowSpecialTokens: training.allowSpecialTokens,
  });
  return await manager.check({ ...job, ...training }, shown);
}

/** The counts as plain data. */
function checkJson({ train, eval: held, heldOut, leaked }: DataCheck, { training }: FineTuneJobConfig) {
  const { packing, maxLength } = training;
  return {
    train: {
      ...sourceJson(train),
      ...(packing && train.report.tokens > 0 ? { packedRows: packedRows(train, maxLength) } : {}),
    },
    eval: held && sourceJson(held),
    heldOut,
    leaked,
  };
}

/** Rows of `maxLength` tokens that all rows fill together, before any is held out. */
function packedRows({ lengths }: SourceCheck, maxLength: number): number {
  return packRows(lengths.all().map((length) => Math.min(length, maxLength)), maxLength).length;
}

function sourceJson(source: SourceCheck) {
  const { report, blankLines, lengths, issues, badLines, skippable, warnings, repeats } = source;
  return {
    ...report,
    blankLines,
    badLines,
    skippable,
    issues,
    warnings,
    repeats,
    lengths: {
      unit: report.tokens > 0 ? "tokens" : "characters",
      p50: lengths.quantile(0.5),
      p95: lengths.quantile(0.95),
      longest: lengths.longest,
      histogram: lengths.histogram(),
    },
  };
}
