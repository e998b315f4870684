/**
 * Data files of one purpose once they are read: rows as tokens, and what is counted of them. What a length makes of them is
 * told from it as often as wanted; nothing is tokenised again.
 *
 * @module
 */
import type { TokenizedExample } from "./example.ts";
import { ExampleHashes } from "./duplicates.ts";
import type { DatasetReader } from "./dataset_reader.ts";
import type { Example } from "./formats.ts";
import { GrowingArray } from "./growing_array.ts";
import { LengthCounts } from "./length_counts.ts";
import type { LabelledIds } from "./mask.ts";
import type { OnBadLine } from "./problems.ts";
import type { DataReport } from "./report.ts";
import { CutRows, type ExampleRows, RowSubset, type TokenRows } from "./token_rows.ts";

/** How much is kept of the rows. */
export interface KeptTokens {
  /** Tokens of a row; its first ones. */
  readonly most: number;
  /** Rows of which any are kept, the first of those that have a trained token then. */
  readonly rows: number;
}

/** A row as it is trained. */
export interface ShownRow {
  /** As far as it is not cut. */
  readonly example: TokenizedExample;
  /** Tokens before cutting. */
  readonly length: number;
}

/** All that is trained. */
export const WHOLE_ROWS: KeptTokens = { most: Infinity, rows: Infinity };

export class Reading {
  readonly reader: DatasetReader;
  /** Of rows before cutting, in tokens; without a tokenizer of records, in characters of JSON. */
  readonly lengths = new LengthCounts();
  readonly hashes = new ExampleHashes();
  readonly rows: TokenRows;
  /** The example that each row comes from, by its place in `hashes`. */
  readonly exampleOfRow = new GrowingArray(Uint32Array);
  /** Examples that became several rows. */
  unrolled = 0;
  readonly #kept: KeptTokens;
  #keptRows = 0;

  constructor(reader: DatasetReader, rows: TokenRows, kept: KeptTokens) {
    this.reader = reader;
    this.rows = rows;
    this.#kept = kept;
  }

  /** Adds an example with its rows. */
  add(example: Example, labelled: readonly LabelledIds[]): void {
    if (labelled.length > 1) this.unrolled++;
    for (const row of labelled) {
      this.lengths.add(row.ids.length);
      this.rows.push(row, this.#keptRows < this.#kept.rows ? this.#kept.most : 0);
      if (this.rows.trainedTokens(this.rows.length - 1, this.#kept.most) > 0) this.#keptRows++;
      this.exampleOfRow.push(this.hashes.length);
    }
    this.hashes.add(example);
  }

  /** Counts an example that is not tokenised. */
  count(example: Example): void {
    this.lengths.add(JSON.stringify(example).length);
    this.hashes.add(example);
  }

  /** The rows as they are trained where none may be longer than `maxLength` tokens. */
  cut(maxLength: number): CutReading {
    return new CutReading(this, maxLength);
  }
}

/** Rows of a reading that have a trained token within the first `maxLength`, and no more than those tokens. */
export class CutReading {
  readonly reading: Reading;
  readonly rows: ExampleRows;
  /** Of the examples that have rows. */
  readonly hashes: ExampleHashes;
  readonly counts: Readonly<
    Pick<DataReport, "kept" | "cut" | "dropped" | "tokens" | "trainedTokens" | "lostTokens">
  >;
  /** The example that each row comes from, by its place in `hashes`. */
  readonly #exampleOfRow: Uint32Array;
  /** Places of the rows in the reading; null where all are kept. */
  readonly #keptRows: Uint32Array | null;

  constructor(reading: Reading, maxLength: number) {
    const { rows, exampleOfRow } = reading;
    const counts = { kept: 0, cut: 0, dropped: 0, tokens: 0, trainedTokens: 0, lostTokens: 0 };
    const keptRows = new GrowingArray(Uint32Array), places = new GrowingArray(Uint32Array);
    const examples = new GrowingArray(Uint32Array);
    for (let row = 0, last = -1; row < rows.length; row++) {
      const length = rows.wholeLength(row), trained = rows.trainedTokens(row, maxLength);
      counts.cut += length > maxLength ? 1 : 0;
      counts.lostTokens += length > maxLength ? rows.trainedTokens(row) - trained : 0;
      if (trained === 0) {
        counts.dropped++;
        continue;
      }
      counts.kept++;
      counts.tokens += Math.min(length, maxLength);
      counts.trainedTokens += trained;
      const example = exampleOfRow.get(row);
      if (example !== last) examples.push(last = example);
      keptRows.push(row);
      places.push(examples.length - 1);
    }
    this.reading = reading;
    this.counts = counts;
    const cutRows = counts.cut === 0 ? rows : new CutRows(rows, maxLength);
    this.#keptRows = counts.dropped === 0 ? null : keptRows.whole() as Uint32Array;
    this.rows = this.#keptRows ? new RowSubset(cutRows, this.#keptRows) : cutRows;
    this.#exampleOfRow = places.whole() as Uint32Array;
    const isAll = rows.length === 0 || examples.length === reading.hashes.length;
    this.hashes = isAll ? reading.hashes : reading.hashes.at(examples.whole() as Uint32Array);
  }

  /** The rows whose examples are on one side, and those of the others. */
  split(isHeld: (example: number) => boolean): { readonly train: ExampleRows; readonly held: ExampleRows } {
    const [train, held] = [new GrowingArray(Uint32Array), new GrowingArray(Uint32Array)];
    for (const [row, example] of this.#exampleOfRow.entries()) (isHeld(example) ? held : train).push(row);
    const side = (indices: GrowingArray) => new RowSubset(this.rows, indices.whole() as Uint32Array);
    return { train: side(train), held: side(held) };
  }

  /** A row with its tokens before cutting; undefined where there is none of the number. */
  shown(row: number): ShownRow | undefined {
    const example = this.rows.at(row);
    return example && { example, length: this.reading.rows.wholeLength(this.#keptRows?.[row] ?? row) };
  }

  /** The first rows. */
  first(count: number): ShownRow[] {
    return Array.from({ length: Math.min(count, this.rows.length) }, (_, row) => this.shown(row)!);
  }

  /** What became of the files' rows. Told of files that are being read, it has no hash yet. */
  report(onBadLine: OnBadLine, isWhole = true): DataReport {
    const { reader, lengths, unrolled } = this.reading, { problems } = reader, skips = onBadLine === "skip";
    return {
      file: reader.files.join(", "),
      formats: [...reader.formats],
      sha256: isWhole ? reader.sha256() : "",
      rows: reader.rows,
      skipped: skips ? problems.lines : 0,
      skippedLines: skips ? problems.firstLines() : [],
      ...this.counts,
      longestRow: lengths.longest,
      unrolled,
    };
  }
}
