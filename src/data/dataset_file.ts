import { DatasetFormatError, type DatasetIssue } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import {
  type DataFormat,
  type Example,
  formatOf,
  otherShapeOf,
  parseRow,
  type TrainedFormat,
} from "./formats.ts";
import { type JsonlEntry, readJsonl } from "./jsonl.ts";

/** How many problems of one file are listed; the rest is counted. */
export const MAX_LISTED_ISSUES = 50;

/** One usable row and where it stands. */
export interface LocatedExample {
  readonly line: number;
  readonly example: Example;
}

/** A data file whose every line was checked. */
export interface DatasetFile {
  readonly uri: string;
  readonly format: TrainedFormat;
  readonly examples: readonly LocatedExample[];
  readonly blankLines: number;
  /** Remarks by line; the rows are used nevertheless. */
  readonly warnings: readonly DatasetIssue[];
}

/**
 * Reads and checks every line of a JSON Lines file. Needs no tokenizer.
 *
 * @param format `auto` takes the format of the first row that has one.
 * @throws {DatasetFormatError} With every bad line, at most MAX_LISTED_ISSUES of them in words; or if no row is
 * left to train on.
 */
export async function readDatasetFile(file: FileReader, format: DataFormat): Promise<DatasetFile> {
  const entries: JsonlEntry[] = [];
  for await (const entry of readJsonl(file)) entries.push(entry);
  const decided = format === "auto" ? firstFormat(entries, file.uri) : { format };
  const examples: LocatedExample[] = [];
  const issues: DatasetIssue[] = [];
  const warnings: DatasetIssue[] = [];
  for (const entry of entries) {
    const at = { file: file.uri, line: entry.line };
    if (entry.kind === "bad") issues.push({ ...at, message: entry.message });
    if (entry.kind !== "row") continue;
    const parsed = parseRow(entry.value, decided.format, decided.line);
    if ("problem" in parsed) {
      issues.push({ ...at, message: parsed.problem });
    } else {
      examples.push({ line: entry.line, example: parsed.example });
      for (const message of parsed.warnings) warnings.push({ ...at, message });
    }
  }
  if (issues.length > 0) throw new DatasetFormatError(listed(issues));
  if (examples.length === 0) {
    throw new DatasetFormatError([{
      file: file.uri,
      message: "has only blank lines: write one JSON object a line",
    }]);
  }
  const blankLines = entries.filter(({ kind }) => kind === "blank").length;
  return { uri: file.uri, format: decided.format, examples, blankLines, warnings };
}

/** The first problems, and how many more there are. */
export function listed(issues: readonly DatasetIssue[]): DatasetIssue[] {
  if (issues.length <= MAX_LISTED_ISSUES) return [...issues];
  const rest = issues.length - MAX_LISTED_ISSUES;
  const { file } = issues[0]!;
  return [...issues.slice(0, MAX_LISTED_ISSUES), { file, message: `and ${rest} more lines with problems` }];
}

/**
 * The format of the first row of a known shape; `messages` where there is none.
 *
 * @throws {DatasetFormatError} If that shape is not trained: once, instead of once a line.
 */
function firstFormat(entries: readonly JsonlEntry[], file: string): { format: TrainedFormat; line?: number } {
  for (const entry of entries) {
    if (entry.kind !== "row") continue;
    const { line, value } = entry;
    const format = formatOf(value);
    if (format) return { format, line };
    if (!otherShapeOf(value)) continue;
    const parsed = parseRow(value, "messages");
    if ("problem" in parsed) throw new DatasetFormatError([{ file, line, message: parsed.problem }]);
  }
  return { format: "messages" };
}
