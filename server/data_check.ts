/**
 * Whether an uploaded file can be trained on, told before a job asks.
 *
 * @module
 */
import { DataManager } from "../src/data_manager.ts";
import type { OnBadLine } from "../src/data/problems.ts";
import type { DatasetIssue } from "../src/errors.ts";
import { fileAt } from "../src/storage.ts";
import { LocalFolder } from "../src/storage/local.ts";

/** What was found in a file. */
export interface DataVerdict {
  /** Rows that can be trained on. */
  readonly rows: number;
  readonly badLines: number;
  /** Lines among the bad ones that a job may leave out. */
  readonly skippable: number;
  /** The first problems, with lines that count from 1. */
  readonly issues: readonly Pick<DatasetIssue, "line" | "message">[];
}

/** Checks the file at an absolute path. */
export type CheckData = (path: string) => Promise<DataVerdict>;

/** Reads every record of a file and keeps none. */
export async function checkData(path: string): Promise<DataVerdict> {
  const manager = new DataManager({ files: (uri) => fileAt((folder) => new LocalFolder(folder), uri) });
  const { train } = await manager.check({
    trainingDataPath: path,
    evalDataPath: null,
    trainTestSplit: 0,
    dataFormat: "auto",
    maxLength: 2 ** 20,
    seed: 0,
  }, 0);
  const issues = train.issues.map(({ line, message }) => ({
    ...(line === undefined ? {} : { line }),
    message,
  }));
  return { rows: train.report.rows, badLines: train.badLines, skippable: train.skippable, issues };
}

/** Problems shown to a client. */
const MOST_SHOWN = 20;

/**
 * A verdict in words, with line numbers; null if the file can be used.
 *
 * @param onBadLine What the job that it is for does with lines that cannot be used.
 */
export function refusalOf(
  { rows, badLines, skippable, issues }: DataVerdict,
  onBadLine: OnBadLine = "fail",
): string | null {
  if (onBadLine === "skip" && rows > 0 && skippable === badLines) return null;
  if (issues.length === 0) return rows > 0 ? null : "the file has no rows: write one JSON object a line";
  const lines = issues.slice(0, MOST_SHOWN).map(({ line, message }) =>
    line === undefined ? message : `Line ${line}: ${message}`
  );
  const more = Math.max(badLines, issues.length) - lines.length;
  return lines.join("\n") + (more > 0 ? `\nand ${more} more lines with problems` : "");
}
