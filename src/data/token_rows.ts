/**
 * Tokenised rows in little memory: ids at two bytes where the vocabulary allows, and in a scratch file where they are many;
 * labels as the spans that are trained.
 *
 * @module
 */
import { type TokenizedExample, trainedTokens } from "./example.ts";
import { GrowingArray, GrowingSums } from "./growing_array.ts";
import { IdStore, type SpillOptions } from "./id_store.ts";
import { IGNORE_INDEX } from "./mask.ts";

/** A list of rows, each made when it is asked for. Arrays are such lists, too. */
export type ExampleRows = Pick<ReadonlyArray<TokenizedExample>, "length" | "at" | typeof Symbol.iterator> & {
  /** Tokens of each row, where that is known without making the rows. */
  readonly lengths?: () => Uint32Array<ArrayBuffer>;
  /** Tokens of each row that the loss counts, where that is known without making the rows. */
  readonly targets?: () => Uint32Array<ArrayBuffer>;
};

/** Ids and labels of a row, of one length. */
export interface LabelledRow {
  readonly ids: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
}

/** Rows that grow one by one. Of each may be kept less than it has. */
export class TokenRows implements ExampleRows {
  readonly #ids: IdStore;
  /** Where each row's ids, and its spans, end. */
  readonly #idEnds = new GrowingSums();
  readonly #spanEnds = new GrowingSums();
  /** First trained token of a span and the one behind its last, counted from the row's start. */
  readonly #spans = new GrowingArray(Uint32Array);
  /** Tokens of each row, kept or not. */
  readonly #wholeLengths = new GrowingArray(Uint32Array);

  /**
   * @param vocabSize Largest id + 1.
   * @param spill Where ids go that do not fit the memory; default nowhere.
   */
  constructor(vocabSize: number, spill?: SpillOptions) {
    this.#ids = new IdStore(vocabSize, spill);
  }

  get length(): number {
    return this.#idEnds.length;
  }

  /** Memory taken. */
  get bytes(): number {
    const parts = [this.#ids, this.#idEnds, this.#spanEnds, this.#spans, this.#wholeLengths];
    return parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** @param kept How many of its ids are kept, the first ones; which of the others are trained is remembered. */
  push({ ids, labels }: LabelledRow, kept: number = ids.length): void {
    this.#wholeLengths.push(ids.length);
    this.#ids.append(ids, Math.min(kept, ids.length));
    this.#idEnds.push(this.#ids.length);
    let trained = false;
    for (let t = 0; t < labels.length; t++) {
      if ((labels[t] !== IGNORE_INDEX) === trained) continue;
      this.#spans.push(t);
      trained = !trained;
    }
    if (trained) this.#spans.push(labels.length);
    this.#spanEnds.push(this.#spans.length);
  }

  /** @param most Tokens of it; default all that are kept. */
  at(index: number, most: number = Infinity): TokenizedExample | undefined {
    const row = index < 0 ? this.length + index : index;
    if (!(row >= 0 && row < this.length)) return undefined;
    const start = startOf(this.#idEnds, row), end = Math.min(this.#idEnds.get(row), start + most);
    const inputIds = this.#ids.slice(start, end);
    const labels = new Int32Array(inputIds.length).fill(IGNORE_INDEX);
    for (let span = startOf(this.#spanEnds, row); span < this.#spanEnds.get(row); span += 2) {
      const from = this.#spans.get(span);
      if (from >= inputIds.length) break;
      labels.set(inputIds.subarray(from, this.#spans.get(span + 1)), from);
    }
    return { inputIds, labels };
  }

  /** Tokens of a row, kept or not. */
  wholeLength(row: number): number {
    return this.#wholeLengths.get(row);
  }

  /** How many of a row's first `most` tokens the loss counts, kept or not. The first token is never predicted. */
  trainedTokens(row: number, most: number = Infinity): number {
    let count = 0;
    for (let span = startOf(this.#spanEnds, row); span < this.#spanEnds.get(row); span += 2) {
      const [from, to] = [Math.max(1, this.#spans.get(span)), Math.min(most, this.#spans.get(span + 1))];
      if (to > from) count += to - from;
    }
    return count;
  }

  *[Symbol.iterator](): ArrayIterator<TokenizedExample> {
    for (let row = 0; row < this.length; row++) yield this.at(row)!;
  }

  lengths(): Uint32Array<ArrayBuffer> {
    const lengths = new Uint32Array(this.length);
    for (let row = 0, start = 0; row < lengths.length; row++) {
      const end = this.#idEnds.get(row);
      lengths[row] = end - start;
      start = end;
    }
    return lengths;
  }

  targets(most: number = Infinity): Uint32Array<ArrayBuffer> {
    return Uint32Array.from({ length: this.length }, (_, row) => this.trainedTokens(row, most));
  }

  /** Removes the scratch file, if there is one. */
  close(): void {
    this.#ids.close();
  }
}

function startOf(ends: GrowingSums, row: number): number {
  return row === 0 ? 0 : ends.get(row - 1);
}

/** Rows of which no more than the first tokens are seen. */
export class CutRows implements ExampleRows {
  readonly #rows: TokenRows;
  readonly #maxLength: number;

  constructor(rows: TokenRows, maxLength: number) {
    this.#rows = rows;
    this.#maxLength = maxLength;
  }

  get length(): number {
    return this.#rows.length;
  }

  at(index: number): TokenizedExample | undefined {
    return this.#rows.at(index, this.#maxLength);
  }

  *[Symbol.iterator](): ArrayIterator<TokenizedExample> {
    for (let row = 0; row < this.length; row++) yield this.at(row)!;
  }

  lengths(): Uint32Array<ArrayBuffer> {
    return this.#rows.lengths().map((length) => Math.min(length, this.#maxLength));
  }

  targets(): Uint32Array<ArrayBuffer> {
    return this.#rows.targets(this.#maxLength);
  }
}

/** Some of the rows of a list, in the order of their indices. */
export class RowSubset implements ExampleRows {
  readonly #rows: ExampleRows;
  readonly #indices: Uint32Array;

  constructor(rows: ExampleRows, indices: Uint32Array) {
    this.#rows = rows;
    this.#indices = indices;
  }

  get length(): number {
    return this.#indices.length;
  }

  at(index: number): TokenizedExample | undefined {
    const row = this.#indices.at(index);
    return row === undefined ? undefined : this.#rows.at(row);
  }

  *[Symbol.iterator](): ArrayIterator<TokenizedExample> {
    for (const row of this.#indices) yield this.#rows.at(row)!;
  }

  lengths(): Uint32Array<ArrayBuffer> {
    const all = rowLengths(this.#rows);
    return this.#indices.map((row) => all[row]!) as Uint32Array<ArrayBuffer>;
  }

  targets(): Uint32Array<ArrayBuffer> {
    const all = this.#rows.targets?.();
    return this.#indices.map((row) =>
      all ? all[row]! : trainedTokens(this.#rows.at(row)!.labels)
    ) as Uint32Array<
      ArrayBuffer
    >;
  }
}

/** Tokens of all rows that the loss counts. */
export function countTargets(rows: ExampleRows): number {
  if (rows.targets) return rows.targets().reduce((sum, targets) => sum + targets, 0);
  let count = 0;
  for (const { labels } of rows) count += trainedTokens(labels);
  return count;
}

/** Tokens of each row. */
export function rowLengths(rows: ExampleRows): Uint32Array<ArrayBuffer> {
  if (rows.lengths) return rows.lengths();
  const lengths = new Uint32Array(rows.length);
  let row = 0;
  for (const { inputIds } of rows) lengths[row++] = inputIds.length;
  return lengths;
}
