import type { DatasetFile } from "./dataset_file.ts";
import type { TrainedFormat } from "./formats.ts";

/** What became of a file's rows. Tokens are those of kept rows, after cutting. */
export interface DataReport {
  readonly file: string;
  readonly format: TrainedFormat;
  /** Of the file's bytes, in hex. */
  readonly sha256: string;
  readonly rows: number;
  readonly kept: number;
  /** Rows cut at `maxLength`. */
  readonly cut: number;
  /** Rows left out because no trained token was left after cutting. */
  readonly dropped: number;
  readonly tokens: number;
  /** Tokens that the loss counts. */
  readonly trainedTokens: number;
  /** Trained tokens that cutting lost, dropped rows included. */
  readonly lostTokens: number;
  /** Tokens of the longest row before cutting. */
  readonly longestRow: number;
  /** Rows of which only the last assistant turn is trained, because the chat template changes earlier ones. */
  readonly onlyLastTurn: number;
}

/** One sentence for each kind of remark, with how many rows it concerns. */
export function lineWarnings({ uri, blankLines, warnings }: DatasetFile): string[] {
  const kinds = Map.groupBy(warnings, ({ message }) => message);
  const remarks = [...kinds].map(([message, [first, ...more]]) =>
    `${uri}:${first!.line}${more.length === 0 ? "" : ` and ${more.length} more`}: ${message}`
  );
  return blankLines === 0 ? remarks : [`${uri}: skipped blank lines: ${blankLines}`, ...remarks];
}

/** What was cut, left out or not trained, in words; empty if nothing was. */
export function reportWarnings(report: DataReport, maxLength: number): string[] {
  const { file, rows, cut, dropped, lostTokens, longestRow, onlyLastTurn } = report;
  const warnings: string[] = [];
  if (cut > 0) {
    warnings.push(
      `${file}: cut ${cut} of ${rows} rows to max_length ${maxLength}, losing ${lostTokens} trained tokens; ` +
        `the longest row has ${longestRow}`,
    );
  }
  if (dropped > 0) {
    warnings.push(`${file}: left out ${dropped} of ${rows} rows, as no trained token is left in them`);
  }
  if (onlyLastTurn > 0) {
    warnings.push(
      `${file}: trains only the last assistant turn of ${onlyLastTurn} rows, as the chat template renders earlier ` +
        `turns differently once others follow`,
    );
  }
  return warnings;
}
