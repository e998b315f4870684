import type { DatasetIssue } from "../errors.ts";

/** What became of the rows of one or several files. Tokens are those of kept rows, after cutting. */
export interface DataReport {
  /** The file's uri; those of several, with commas between them. */
  readonly file: string;
  /** Names of the formats that rows had. */
  readonly formats: readonly string[];
  /** Of the bytes of all files, one after the other, in hex. */
  readonly sha256: string;
  /** Usable rows of the files. */
  readonly rows: number;
  /** Lines that were left out as they cannot be used. */
  readonly skipped: number;
  /** The first of them, with what is wrong with them. */
  readonly skippedLines: readonly DatasetIssue[];
  /** Rows to train on: without those left out, with those that one conversation gave. */
  readonly kept: number;
  /** Rows cut at `maxLength`. */
  readonly cut: number;
  /** Rows left out because no trained token was left after cutting. */
  readonly dropped: number;
  /** Tokens of kept rows, after cutting. */
  readonly tokens: number;
  /** Tokens that the loss counts. */
  readonly trainedTokens: number;
  /** Trained tokens that cutting lost, dropped rows included. */
  readonly lostTokens: number;
  /** Tokens of the longest row before cutting. */
  readonly longestRow: number;
  /** Conversations that became several rows, because the chat template changes earlier turns. */
  readonly unrolled: number;
}

/** Skipped lines that a warning names. */
const NAMED_LINES = 5;

/** What was cut, left out or not trained, in words; empty if nothing was. */
export function reportWarnings(report: DataReport, maxLength: number): string[] {
  const { file, rows, skipped, skippedLines, kept, cut, dropped, lostTokens, longestRow, unrolled } = report;
  const all = kept + dropped, warnings: string[] = [];
  if (skipped > 0) {
    const named = skippedLines.slice(0, NAMED_LINES).map(({ line }) => line).join(", ");
    const [first] = skippedLines;
    warnings.push(
      `${file}: skipped ${skipped} ${skipped === 1 ? "line that" : "lines, which"} cannot be used ` +
        `(${skipped === 1 ? "" : "the first at "}line${skippedLines.length === 1 ? "" : "s"} ${named}): ` +
        `line ${first!.line} ${first!.message}`,
    );
  }
  if (cut > 0) {
    warnings.push(
      `${file}: cut ${cut} of ${all} rows to max_length ${maxLength}, losing ${lostTokens} trained tokens; ` +
        `the longest row has ${longestRow}`,
    );
  }
  if (dropped > 0) {
    warnings.push(`${file}: left out ${dropped} of ${all} rows, as no trained token is left in them`);
  }
  if (unrolled > 0) {
    warnings.push(
      `${file}: made several rows of ${unrolled} of ${rows} conversations, one for each trained turn, as the chat ` +
        `template renders earlier turns differently once others follow`,
    );
  }
  return warnings;
}
