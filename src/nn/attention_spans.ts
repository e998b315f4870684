/**
 * Which keys each query of attention sees, and which queries see each key: causality, padding, a sliding window and
 * documents packed into one row, all in two numbers a position.
 *
 * @module
 */
import type { Tensor } from "../tensor.ts";

/** Spans on the GPU by the window that they were made for; without a window it is Infinity. */
export type SpanTensors = ReadonlyMap<number, Tensor>;

/** What the spans of a batch follow from. */
export interface SpanLayout {
  /** Real tokens of each batch row; what follows is padding. */
  readonly lengths: ArrayLike<number>;
  /** Tokens of a batch row, padding included. */
  readonly rowLength: number;
  /** Keys that a query sees at most, its own included; default Infinity. */
  readonly window?: number;
  /** Lengths of the documents of each row, in order, which do not see each other; default one of all its tokens. */
  readonly documents?: readonly (readonly number[])[] | undefined;
}

/**
 * spans [B·T, 2]. For position t of a document that covers [start, stop) of its batch row:
 *
 *     first_t = max(start, t − window + 1)      the first key that query t sees; the last is t itself
 *     end_t   = min(stop, t + window)           one past the last query that sees key t
 *
 * Positions count from the start of the batch row. Padding sees itself only, so that every softmax is finite. Both
 * numbers never fall along a batch row: a block of neighbouring queries sees no key before the first of its first
 * query, a block of keys is seen by no query from the end of its last key.
 *
 * @throws {RangeError} If a row's documents do not add up to its length, a length exceeds the row, or a window is
 * smaller than 1.
 */
export function attentionSpans(
  { lengths, rowLength, window = Infinity, documents }: SpanLayout,
): Uint32Array<ArrayBuffer> {
  if (!(window >= 1)) throw new RangeError(`Cannot attend within a window of ${window} tokens: at least 1`);
  const spans = new Uint32Array(2 * lengths.length * rowLength);
  for (let row = 0; row < lengths.length; row++) {
    const length = lengths[row]!;
    const stops = stopsOf(documents?.[row] ?? [length], length, row);
    if (length > rowLength) {
      throw new RangeError(`Cannot attend to ${length} tokens in a row of ${rowLength}`);
    }
    let start = 0, document = 0;
    for (let t = 0; t < rowLength; t++) {
      while (document < stops.length && t >= stops[document]!) start = stops[document++]!;
      const padding = t >= length, at = 2 * (row * rowLength + t);
      spans[at] = padding ? t : Math.max(start, t - window + 1);
      spans[at + 1] = padding ? t + 1 : Math.min(stops[document]!, t + window);
    }
  }
  return spans;
}

/** One past the last token of each document of a row. */
function stopsOf(documents: readonly number[], length: number, row: number): number[] {
  let stop = 0;
  const stops = documents.map((tokens) => stop += tokens);
  if (stop === length) return stops;
  throw new RangeError(
    `Cannot pack documents of ${documents.join(" + ")} tokens into batch row ${row} of ${length} tokens`,
  );
}
