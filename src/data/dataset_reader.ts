/**
 * Reads data files of any kind and format once: checks every record, gives the good ones, keeps account of the rest.
 *
 * @module
 */
import { DatasetFormatError, type DatasetIssue } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import { readCsv } from "./csv.ts";
import { byteChunks, type Entry } from "./entries.ts";
import { excerptOf } from "./excerpt.ts";
import { fileKind } from "./file_kind.ts";
import {
  type ColumnMapping,
  type DataFormat,
  type Example,
  formatNamed,
  formatOf,
  parseRow,
  renameColumns,
  ROW_FORMATS,
  type RowFormat,
} from "./formats.ts";
import { readJsonArray } from "./json_array.ts";
import { readJsonl } from "./jsonl.ts";
import { readParquet } from "./parquet.ts";
import { type OnBadLine, Problems, Remarks } from "./problems.ts";
import { isRow, type Row } from "./row.ts";
import { Sha256 } from "./sha256.ts";

/** Records without a known shape that may come before the one that decides the format. */
const MAX_UNDECIDED = 1000;

/** How records are read. */
export interface ReadOptions {
  /** `auto` takes the format of a file's first row that has one. */
  readonly format: DataFormat;
  readonly columnMapping?: ColumnMapping | null;
  /** The formats that there are; default {@link ROW_FORMATS}. */
  readonly formats?: readonly RowFormat[];
  /** How many problems are listed; default MAX_LISTED_ISSUES. */
  readonly mostIssues?: number;
  /** Whether problems come with the text of their lines; default false. */
  readonly excerpts?: boolean;
}

/** One usable row and where it stands. */
export interface LocatedExample {
  readonly file: string;
  readonly line: number;
  readonly example: Example;
}

/** The format of a file, and the line that decided it where none was named. */
interface Decided {
  readonly format: RowFormat;
  readonly line?: number;
}

/** Files of one purpose, read one after the other. */
export class DatasetReader {
  readonly problems: Problems;
  readonly remarks: Remarks = new Remarks();
  readonly files: string[] = [];
  /** Names of the formats that rows had. */
  readonly formats: Set<string> = new Set();
  /** Usable rows so far. */
  rows = 0;
  blankLines = 0;
  /** Files that have records, of which none can be used. */
  readonly #barren: string[] = [];
  readonly #excerpts: boolean;
  /** Of the row that was given last. */
  #entry: Entry | null = null;
  readonly #hash = new Sha256();
  #sha256: string | null = null;
  readonly #columnMapping: ColumnMapping | null;
  readonly #known: readonly RowFormat[];
  /** Null for the format of a file's first row that has one. */
  readonly #format: RowFormat | null;

  /** @throws {ConfigError} If no format has the name asked for. */
  constructor(
    { format, columnMapping = null, formats = ROW_FORMATS, mostIssues, excerpts = false }: ReadOptions,
  ) {
    this.problems = new Problems(mostIssues);
    this.#excerpts = excerpts;
    this.#columnMapping = columnMapping;
    this.#known = formats;
    this.#format = format === "auto" ? null : formatNamed(format, formats);
  }

  /** SHA-256 of all bytes of all files, in hex; after the last file. */
  sha256(): string {
    return this.#sha256 ??= this.#hash.digest();
  }

  /** The usable rows of a file. Bad ones, and a file that is none of the known kinds, go to `problems`. */
  async *read(file: FileReader): AsyncGenerator<LocatedExample> {
    this.files.push(file.uri);
    const before = { rows: this.rows, problems: this.problems.count };
    try {
      yield* this.#examples(file);
      if (this.rows > before.rows) return;
      if (this.problems.count > before.problems) this.#barren.push(file.uri);
      else this.problems.add({ file: file.uri, message: "has no rows: write one JSON object a line" });
    } catch (error) {
      if (!(error instanceof DatasetFormatError)) throw error;
      for (const issue of error.issues) this.problems.add(issue, false);
    }
  }

  /** Why the files cannot be used; empty if they can. */
  refusals(onBadLine: OnBadLine): DatasetIssue[] {
    if (onBadLine === "fail") return this.problems.listed();
    const barren = this.#barren.map((file) => ({
      file,
      message: `has no row that can be used: lowrank check says what is wrong with each`,
    }));
    return [...this.problems.ofFiles(), ...barren];
  }

  /** Takes back the row that was given last: something else is wrong with it, such as what its chat template says. */
  refuse(issue: DatasetIssue): void {
    this.rows--;
    this.problems.add({ ...issue, ...(this.#entry ? this.#excerptOf(this.#entry) : {}) });
  }

  #excerptOf(entry: Entry): Pick<DatasetIssue, "excerpt"> {
    if (!this.#excerpts || entry.kind === "blank") return {};
    if (entry.kind === "bad") {
      return entry.text === undefined ? {} : { excerpt: excerptOf(entry.text, entry.at ?? null) };
    }
    return { excerpt: excerptOf(entry.text ?? JSON.stringify(entry.value) ?? "") };
  }

  async *#examples(file: FileReader): AsyncGenerator<LocatedExample> {
    const fallback = { format: formatNamed("messages", ROW_FORMATS) };
    let decided: Decided | null = this.#format && { format: this.#format };
    let waiting: Entry[] = [];
    for await (const entry of this.#entries(file)) {
      decided ??= this.#decide(file.uri, entry);
      waiting.push(entry);
      if (!decided && waiting.length < MAX_UNDECIDED) continue;
      decided ??= fallback;
      for (const one of waiting) yield* this.#example(file.uri, one, decided);
      waiting = [];
    }
    for (const one of waiting) yield* this.#example(file.uri, one, fallback);
  }

  async *#entries(file: FileReader): AsyncGenerator<Entry> {
    if (this.#format?.readFile) {
      return yield* this.#format.readFile(byteChunks(file, this.#hash), file.uri);
    }
    const kind = await fileKind(file);
    if (kind === "parquet") return yield* readParquet(file, this.#hash);
    const read = { "jsonl": readJsonl, "json array": readJsonArray, "csv": readCsv }[kind];
    yield* read(byteChunks(file, this.#hash), file.uri);
  }

  /** @throws {DatasetFormatError} If the row has a shape that is not trained: once, instead of once a line. */
  #decide(file: string, entry: Entry): Decided | null {
    if (entry.kind !== "row") return null;
    const value = this.#renamed(entry.value);
    const format = formatOf(value, this.#known), { line } = entry;
    if (!format?.isRefused) return format && { format, line };
    const parsed = format.parse(value as Row);
    throw new DatasetFormatError("problem" in parsed ? [{ file, line, message: parsed.problem }] : []);
  }

  #renamed(value: unknown): unknown {
    return this.#columnMapping && isRow(value) ? renameColumns(value, this.#columnMapping) : value;
  }

  *#example(file: string, entry: Entry, decided: Decided): Generator<LocatedExample> {
    const at = { file, line: entry.line };
    if (entry.kind === "blank") this.blankLines++;
    if (entry.kind === "bad") {
      this.problems.add({ ...at, message: entry.message, ...this.#excerptOf(entry) }, !entry.endsFile);
    }
    if (entry.kind !== "row") return;
    const value = this.#renamed(entry.value);
    const parsed = isRow(entry.value) && typeof value === "string"
      ? { problem: value }
      : parseRow(value, decided.format, decided.line, this.#known);
    if ("problem" in parsed) {
      return this.problems.add({ ...at, message: parsed.problem, ...this.#excerptOf(entry) });
    }
    this.formats.add(decided.format.name);
    this.rows++;
    for (const message of parsed.warnings) this.remarks.add({ ...at, message });
    this.#entry = this.#excerpts ? entry : null;
    yield { ...at, example: parsed.example };
  }
}

/** All problems of several readers at once. @throws {DatasetFormatError} If there is any that forbids their use. */
export function refuseProblems(readers: readonly DatasetReader[], onBadLine: OnBadLine = "fail"): void {
  const issues = readers.flatMap((reader) => reader.refusals(onBadLine));
  if (issues.length > 0) throw new DatasetFormatError(issues);
}
