/**
 * Training data as the page shows it: what it is, what is wrong with it, and rows as they are trained.
 *
 * @module
 */
import { isGgufName } from "../src/checkpoint/gguf_model.ts";
import type { FineTuneJobConfig } from "../src/config.ts";
import { readCsv } from "../src/data/csv.ts";
import { byteChunks, type Entry } from "../src/data/entries.ts";
import { fileKind } from "../src/data/file_kind.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { readJsonArray } from "../src/data/json_array.ts";
import { readJsonl } from "../src/data/jsonl.ts";
import { IGNORE_INDEX } from "../src/data/mask.ts";
import { Tokenizer } from "../src/data/tokenizer.ts";
import { DataManager } from "../src/data_manager.ts";
import { ModelManager } from "../src/model_manager.ts";
import { fileAt } from "../src/storage.ts";
import type { PageFiles } from "./page_files.ts";
import type { DataFacts, TextPiece } from "./protocol.ts";
import { type Watch, watchedFolder } from "./watched_folder.ts";

/** Rows of the preview. */
const SHOWN_ROWS = 8;
/** Tokens of a row that are shown. */
const SHOWN_TOKENS = 2000;
/** Bars of the histogram. */
const MOST_BARS = 24;

/** @throws {StorageNotFoundError} @throws {ModelFormatError} If the model's tokenizer cannot be used. */
export async function dataFacts(
  { job, training }: FineTuneJobConfig,
  files: PageFiles,
  watch: Watch,
): Promise<DataFacts> {
  const tokenizer = await tokenizerOf(job.baseModel, files);
  const { allowSpecialTokens } = training;
  const watched = (uri: string) => watchedFolder(files.at(uri), watch);
  const manager = new DataManager({ files: (uri) => fileAt(watched, uri), tokenizer, allowSpecialTokens });
  const { train, eval: held, heldOut, leaked } = await manager.check({ ...job, ...training }, SHOWN_ROWS);
  const { report, lengths, issues, badLines, warnings } = train;
  return {
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
    warnings: [...warnings, ...held?.warnings ?? []],
    longest: lengths.longest,
    histogram: lengths.rows === 0 ? [] : lengths.histogram(MOST_BARS),
    samples: train.samples.map((sample) => pieces(sample, tokenizer)),
    columns: await columnsOf([job.trainingDataPath].flat()[0]!, files),
  };
}

async function tokenizerOf(uri: string, files: PageFiles): Promise<Tokenizer> {
  if (!isGgufName(uri)) return await Tokenizer.load(files.at(uri));
  const base = await new ModelManager(files.at).open(uri);
  try {
    return await Tokenizer.load(base.folder);
  } finally {
    await base.weights.close();
  }
}

/** A row's text in pieces that are trained and pieces that are not. */
function pieces({ inputIds, labels }: TokenizedExample, tokenizer: Tokenizer): TextPiece[] {
  const end = Math.min(inputIds.length, SHOWN_TOKENS), found: TextPiece[] = [];
  for (let start = 0; start < end;) {
    const trained = labels[start] !== IGNORE_INDEX;
    let stop = start + 1;
    while (stop < end && (labels[stop] !== IGNORE_INDEX) === trained) stop++;
    found.push({
      text: tokenizer.decode([...inputIds.subarray(start, stop)]),
      trained,
      tokens: stop - start,
    });
    start = stop;
  }
  return found;
}

/** Names of the first record's columns; none where it has none, or of a kind that is not looked into. */
async function columnsOf(uri: string, files: PageFiles): Promise<string[]> {
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
