/**
 * `lowrank convert DATA...`: rows of any format that is read, written in one.
 *
 * @module
 */
import { convertExample, TARGET_FORMATS, type TargetFormat } from "../data/convert.ts";
import { DatasetReader } from "../data/dataset_reader.ts";
import { foundFiles } from "../data/path_pattern.ts";
import { ConfigError, type ConfigIssue, DatasetFormatError } from "../errors.ts";
import { fileAt, type FileWriter, type Folder } from "../storage.ts";
import { withBuckets } from "./bucket_folders.ts";
import { CONVERT_FLAGS, convertHelp } from "./convert_flags.ts";
import { choiceIssues } from "./export_task.ts";
import { formatCount } from "./format.ts";
import { parseFlags } from "./flags.ts";
import { isOn, textOf } from "./generate_flags.ts";
import { dataFiles } from "./hub.ts";
import type { CliIo } from "./io.ts";
import { openFolder } from "./open_folder.ts";
import { namedPlugins } from "./plugin_flag.ts";
import { partsOf } from "./plugin_parts.ts";
import { fromText } from "./sources.ts";

/** Text that is written at once, characters. */
const PIECE = 1 << 16;

/**
 * Reads the files once, and writes row by row: they may be larger than the memory.
 *
 * @param files Opens a folder by its uri; default those of this machine.
 * @throws {ConfigError} For wrong usage, before anything is read.
 * @throws {DatasetFormatError} With every line that is no row, or that the format cannot say; no file is written then.
 * @throws {StorageNotFoundError} @throws {StorageDeniedError}
 */
export async function convert(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "loadPlugins">,
  files: (uri: string) => Folder = openFolder,
): Promise<void> {
  const flags = parseFlags(args, CONVERT_FLAGS), { positionals: data } = flags;
  if (flags.values.get("help")) return io.stdout.write(convertHelp());
  const out = textOf(flags, "out"), to = (textOf(flags, "to") ?? "messages") as TargetFormat;
  const mapping = fromText("column_mapping", textOf(flags, "column_mapping") ?? "");
  const issues: ConfigIssue[] = [...flags.issues, ...choiceIssues(flags, "to", TARGET_FORMATS)];
  if (data.length === 0) issues.push({ path: "DATA", message: "is missing: name the files to convert" });
  if (typeof mapping === "string") {
    issues.push({
      path: "--column-mapping",
      message: `must be NAME=COLUMN,...: current value is "${mapping}"`,
    });
  }
  if (issues.length > 0) throw new ConfigError(issues);
  const { dataFormats: formats, open } = partsOf(await namedPlugins(flags, io));
  const reader = new DatasetReader({
    format: textOf(flags, "data_format") ?? "auto",
    columnMapping: mapping as Readonly<Record<string, string>> | null,
    formats,
  });
  const file = out === null ? null : await newFile(files, out, isOn(flags, "overwrite"));
  const writer = new LineWriter((text) =>
    file ? file.write(new TextEncoder().encode(text)) : Promise.resolve(io.stdout.write(text))
  );
  try {
    const readable = await withBuckets(files, { files: data }, open);
    const paths = (await Promise.all(data.map((path) => dataFiles(path, "train")))).flat();
    for await (const { folder, name } of foundFiles(paths, (path) => fileAt(readable, path))) {
      const source = await folder.open(name);
      try {
        for await (const { example, ...at } of reader.read(source)) {
          const made = convertExample(example, to);
          if ("problem" in made) reader.refuse({ ...at, message: `as ${to}: ${made.problem}` });
          else await writer.line(JSON.stringify(made.row));
        }
      } finally {
        await source.close();
      }
    }
    const found = reader.problems.listed();
    if (found.length > 0) throw new DatasetFormatError(found);
    await writer.end();
    await file?.commit();
  } finally {
    await file?.abort();
  }
  for (const remark of reader.remarks.listed()) io.stderr.write(`warning: ${remark}\n`);
  if (isOn(flags, "quiet")) return;
  const what = `${formatCount(reader.rows)} rows of ${[...reader.formats].join(", ")} as ${to}`;
  io.stderr.write(`${what}${out === null ? "" : `: ${out}`}\n`);
}

/** @throws {ConfigError} If it is there already. */
async function newFile(
  files: (uri: string) => Folder,
  path: string,
  overwrite: boolean,
): Promise<FileWriter> {
  const { folder, name } = fileAt(files, path);
  if (name === "" || (!overwrite && await folder.exists(name))) {
    const message = name === ""
      ? `must name a file: current value is "${path}"`
      : `"${path}" is there already: name ` +
        "another file, or set --overwrite";
    throw new ConfigError([{ path: "--out", message }]);
  }
  return await folder.create(name);
}

/** Gathers lines, so that not every row is a write of its own. */
class LineWriter {
  readonly #write: (text: string) => Promise<void>;
  #text = "";

  constructor(write: (text: string) => Promise<void>) {
    this.#write = write;
  }

  async line(text: string): Promise<void> {
    this.#text += `${text}\n`;
    if (this.#text.length >= PIECE) await this.end();
  }

  async end(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text !== "") await this.#write(text);
  }
}
