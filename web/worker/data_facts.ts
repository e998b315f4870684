/**
 * Training data as the page shows it: what it is, what is wrong with it, and rows as they are trained.
 *
 * @module
 */
import { readCsv } from "../../src/data/csv.ts";
import { byteChunks, type Entry } from "../../src/data/entries.ts";
import { fileKind } from "../../src/data/file_kind.ts";
import { readJsonArray } from "../../src/data/json_array.ts";
import { readJsonl } from "../../src/data/jsonl.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { reportWarnings } from "../../src/data/report.ts";
import type { Tokenizer } from "../../src/data/tokenizer.ts";
import type { DataCheck, ShownRow, SourceCheck } from "../../src/data_manager.ts";
import { fileAt } from "../../src/storage.ts";
import type { DataFacts, DataRow, TextPiece } from "../protocol/data.ts";
import type { PageFiles } from "./page_files.ts";

/** Tokens of a row that are shown. */
const SHOWN_TOKENS = 2000;
/** Bars of the histogram. */
const MOST_BARS = 24;

/** What a check's facts are told with. */
export interface FactsView {
  readonly tokenizer: Tokenizer;
  readonly maxLength: number;
  readonly columns: readonly string[];
  readonly isWhole: boolean;
}

/** A check as the page shows it. */
export function factsOf(
  { train, eval: held, heldOut, leaked }: DataCheck,
  { tokenizer, maxLength, columns, isWhole }: FactsView,
): DataFacts {
  const { report, lengths, issues, badLines } = train;
  return {
    isWhole,
    file: report.file,
    maxLength,
    formats: report.formats,
    rows: report.rows,
    kept: report.kept,
    cut: report.cut,
    dropped: report.dropped,
    tokens: report.tokens,
    trainedTokens: report.trainedTokens,
    heldOut: held === null ? heldOut : held.report.kept,
    ownEvaluation: held !== null,
    leaked,
    issues: [...issues, ...held?.issues ?? []],
    badLines: badLines + (held?.badLines ?? 0),
    skippable: train.skippable + (held?.skippable ?? 0),
    skipped: report.skipped + (held?.report.skipped ?? 0),
    refused: train.refusals.length + (held?.refusals.length ?? 0) > 0,
    warnings: [train, ...(held ? [held] : [])].flatMap((source) => remarksOf(source, maxLength)),
    longest: lengths.longest,
    histogram: lengths.bars(MOST_BARS, maxLength),
    samples: train.samples.map((sample) => shownRow(sample, tokenizer)),
    columns,
  };
}

/** What is warned of, without what the view tells in its own ways. */
function remarksOf({ report, warnings }: SourceCheck, maxLength: number): string[] {
  const told = new Set(reportWarnings({ ...report, unrolled: 0 }, maxLength));
  return warnings.filter((warning) => !told.has(warning));
}

/** A row's text in pieces: each is trained or not, and text or one special token. */
export function shownRow({ example: { inputIds, labels }, length }: ShownRow, tokenizer: Tokenizer): DataRow {
  const end = Math.min(inputIds.length, SHOWN_TOKENS), pieces: TextPiece[] = [];
  const isTrained = (t: number) => labels[t] !== IGNORE_INDEX;
  for (let start = 0; start < end;) {
    const trained = isTrained(start), special = tokenizer.isSpecial(inputIds[start]!);
    let stop = start + 1;
    if (!special) {
      while (stop < end && isTrained(stop) === trained && !tokenizer.isSpecial(inputIds[stop]!)) stop++;
    }
    pieces.push({
      text: tokenizer.decode([...inputIds.subarray(start, stop)]),
      trained,
      special,
      tokens: stop - start,
    });
    start = stop;
  }
  let trained = 0;
  for (let t = 0; t < labels.length; t++) trained += isTrained(t) ? 1 : 0;
  return { pieces, tokens: inputIds.length, trained, length };
}

/** Names of the first record's columns; none where it has none, or of a kind that is not looked into. */
export async function columnsOf(uri: string, files: PageFiles): Promise<string[]> {
  const { folder, name } = fileAt(files.at, uri);
  const file = await folder.open(name);
  try {
    const kind = await fileKind(file).catch(() => null);
    if (kind === null || kind === "parquet") return [];
    const read = { "jsonl": readJsonl, "json array": readJsonArray, "csv": readCsv }[kind];
    const entries: AsyncIterable<Entry> = read(byteChunks(file), file.uri);
    for await (const entry of entries) {
      if (entry.kind !== "row") continue;
      return typeof entry.value === "object" && entry.value !== null ? Object.keys(entry.value) : [];
    }
    return [];
  } finally {
    await file.close();
  }
}
