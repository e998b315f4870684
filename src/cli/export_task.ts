/**
 * What the formats of `export` share: their task, and where they write.
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../errors.ts";
import type { ExportSource } from "../export/source.ts";
import type { Folder } from "../storage.ts";
import type { ParsedFlags } from "./flags.ts";
import { isOn, textOf } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";

/** What a format gets. */
export interface ExportTask {
  readonly flags: ParsedFlags;
  readonly source: ExportSource;
  /** The model as it was named. */
  readonly model: string;
  readonly files: (uri: string) => Folder;
  readonly io: Pick<CliIo, "stdout" | "stderr" | "env" | "readTextFile">;
  readonly signal: AbortSignal;
}

/** Writes one format. `check` lists what is wrong with its own flags, before anything is opened. */
export interface ExportWriter {
  check(flags: ParsedFlags): ConfigIssue[];
  write(task: ExportTask): Promise<void>;
}

/** A flag that takes one of a few words. @returns An issue for another, none for a flag that was not given. */
export function choiceIssues(flags: ParsedFlags, name: string, words: readonly string[]): ConfigIssue[] {
  const given = textOf(flags, name);
  if (given === null || words.includes(given)) return [];
  const message = `must be one of ${words.join(", ")}: current value is ${JSON.stringify(given)}`;
  return [{ path: `--${name}`, message }];
}

/** A place to write to: its folder and the name in it. */
export interface ExportPlace {
  readonly folder: Folder;
  readonly name: string;
  /** As it was named, for messages. */
  readonly uri: string;
}

/** A name in the folder of the model, or beside its GGUF file. */
export function besideModel(model: string, name: string): string {
  const at = model.replace(/(?<=.)\/+$/, "");
  return /\.gguf$/i.test(at) ? at.slice(0, at.lastIndexOf("/") + 1) + name : `${at}/${name}`;
}

/**
 * The file that `--out` names, else one in the folder of the model.
 *
 * @throws {ConfigError} If it is there already and `--overwrite` was not given, or it is the model itself.
 */
export async function outputFile(
  { flags, model, files }: ExportTask,
  fallback: string,
): Promise<ExportPlace> {
  const uri = textOf(flags, "out") ?? besideModel(model, fallback);
  const slash = uri.lastIndexOf("/"), name = uri.slice(slash + 1);
  if (name === "") {
    throw new ConfigError([{ path: "--out", message: `must name a file: current value is "${uri}"` }]);
  }
  const folder = files(slash < 0 ? "." : uri.slice(0, slash + 1));
  if (uri === model) {
    throw new ConfigError([{ path: "--out", message: `"${uri}" is the model that is exported` }]);
  }
  if (await folder.exists(name) && !isOn(flags, "overwrite")) {
    throw new ConfigError([{
      path: "--out",
      message: `"${uri}" is there already: name another file, or set --overwrite`,
    }]);
  }
  return { folder, name, uri };
}
