/**
 * Reads data files of any kind and format once: checks every record, gives the good ones, keeps account of the rest.
 *
 * @module
 */
import { DatasetFormatError, type DatasetIssue } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import { readCsv } from "./csv.ts";
import { byteChunks, type Entry } from "./entries.ts";
import { fileKind } from "./file_kind.ts";
import {
  type ColumnMapping,
  type DataFormat,
  type Example,
  formatOf,
  otherShapeOf,
  parseRow,
  renameColumns,
  type TrainedFormat,
} from "./formats.ts";
import { readJsonArray } from "./json_array.ts";
import { readJsonl } from "./jsonl.ts";
import { readParquet } from "./parquet.ts";
import { Problems, Remarks } from "./problems.ts";
import { isRow } from "./row.ts";
import { Sha256 } from "./sha256.ts";

/** Records without a known shape that may come before the one that decides the format. */
const MAX_UNDECIDED = 1000;

/** How records are read. */
export interface ReadOptions {
  /** `auto` takes the format of a file's first row that has one. */
  readonly format: DataFormat;
  readonly columnMapping?: ColumnMapping | null;
}

/** One usable row and where it stands. */
export interface LocatedExample {
  readonly file: string;
  readonly line: number;
  readonly example: Example;
}

/** Files of one purpose, read one after the other. */
export class DatasetReader {
  readonly problems: Problems = new Problems();
  readonly remarks: Remarks = new Remarks();
  readonly files: string[] = [];
  readonly formats: Set<TrainedFormat> = new Set();
  /** Usable rows so far. */
  rows = 0;
  blankLines = 0;
  readonly #hash = new Sha256();
  readonly #options: ReadOptions;

  constructor(options: ReadOptions) {
    this.#options = options;
  }

  /** SHA-256 of all bytes of all files, in hex; after the last file. */
  sha256(): string {
    return this.#hash.digest();
  }

  /** The usable rows of a file. Bad ones, and a file that is none of the known kinds, go to `problems`. */
  async *read(file: FileReader): AsyncGenerator<LocatedExample> {
    this.files.push(file.uri);
    const before = this.rows + this.problems.count;
    try {
      yield* this.#examples(file);
      if (this.rows + this.problems.count === before) {
        this.problems.add({ file: file.uri, message: "has no rows: write one JSON object a line" });
      }
    } catch (error) {
      if (!(error instanceof DatasetFormatError)) throw error;
      for (const issue of error.issues) this.problems.add(issue);
    }
  }

  /** Takes back the row that was given last: something else is wrong with it, such as what its chat template says. */
  refuse(issue: DatasetIssue): void {
    this.rows--;
    this.problems.add(issue);
  }

  async *#examples(file: FileReader): AsyncGenerator<LocatedExample> {
    const { format } = this.#options;
    let decided: { format: TrainedFormat; line?: number } | null = format === "auto" ? null : { format };
    let waiting: Entry[] = [];
    for await (const entry of this.#entries(file)) {
      decided ??= this.#decide(file.uri, entry);
      waiting.push(entry);
      if (!decided && waiting.length < MAX_UNDECIDED) continue;
      decided ??= { format: "messages" };
      for (const one of waiting) yield* this.#example(file.uri, one, decided);
      waiting = [];
    }
    for (const one of waiting) yield* this.#example(file.uri, one, { format: "messages" });
  }

  async *#entries(file: FileReader): AsyncGenerator<Entry> {
    const kind = await fileKind(file);
    if (kind === "parquet") return yield* readParquet(file, this.#hash);
    const read = { "jsonl": readJsonl, "json array": readJsonArray, "csv": readCsv }[kind];
    yield* read(byteChunks(file, this.#hash), file.uri);
  }

  /** @throws {DatasetFormatError} If the row has a shape that is not trained: once, instead of once a line. */
  #decide(file: string, entry: Entry): { format: TrainedFormat; line: number } | null {
    if (entry.kind !== "row") return null;
    const value = this.#renamed(entry.value);
    const format = formatOf(value);
    if (format) return { format, line: entry.line };
    const parsed = otherShapeOf(value) ? parseRow(value, "messages") : null;
    if (!parsed || !("problem" in parsed)) return null;
    throw new DatasetFormatError([{ file, line: entry.line, message: parsed.problem }]);
  }

  #renamed(value: unknown): unknown {
    const { columnMapping } = this.#options;
    return columnMapping && isRow(value) ? renameColumns(value, columnMapping) : value;
  }

  *#example(
    file: string,
    entry: Entry,
    decided: { format: TrainedFormat; line?: number },
  ): Generator<LocatedExample> {
    const at = { file, line: entry.line };
    if (entry.kind === "blank") this.blankLines++;
    if (entry.kind === "bad") this.problems.add({ ...at, message: entry.message });
    if (entry.kind !== "row") return;
    const value = this.#renamed(entry.value);
    const parsed = isRow(entry.value) && typeof value === "string"
      ? { problem: value }
      : parseRow(value, decided.format, decided.line);
    if ("problem" in parsed) return this.problems.add({ ...at, message: parsed.problem });
    this.formats.add(decided.format);
    this.rows++;
    for (const message of parsed.warnings) this.remarks.add({ ...at, message });
    yield { ...at, example: parsed.example };
  }
}

/** All problems of several readers at once. @throws {DatasetFormatError} If there is any. */
export function refuseProblems(readers: readonly DatasetReader[]): void {
  const issues: DatasetIssue[] = readers.flatMap(({ problems }) => problems.listed());
  if (issues.length > 0) throw new DatasetFormatError(issues);
}
