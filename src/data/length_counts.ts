/** How many rows have which length. */
export class LengthCounts {
  readonly #counts = new Map<number, number>();
  #rows = 0;

  /** Counts a row of this length. */
  add(length: number): void {
    this.#rows++;
    this.#counts.set(length, (this.#counts.get(length) ?? 0) + 1);
  }

  /** Rows counted. */
  get rows(): number {
    return this.#rows;
  }

  /** The longest length; 0 for no rows. */
  get longest(): number {
    return Math.max(0, ...this.#counts.keys());
  }

  /** The smallest length that this share of the rows does not exceed, 0 < share ≤ 1; 0 for no rows. */
  quantile(share: number): number {
    let below = 0;
    for (const [length, count] of this.#sorted()) {
      below += count;
      if (below >= share * this.#rows) return length;
    }
    return 0;
  }

  /** Rows by ranges of one width: 1, 2 or 5 times a power of ten, so that there are at most `most` ranges. */
  histogram(most = 12): { readonly from: number; readonly to: number; readonly rows: number }[] {
    const width = rangeWidth(this.longest + 1, most);
    const bars = Array.from({ length: Math.ceil((this.longest + 1) / width) }, (_, i) => {
      return { from: i * width, to: (i + 1) * width - 1, rows: 0 };
    });
    for (const [length, count] of this.#counts) bars[Math.floor(length / width)]!.rows += count;
    return bars;
  }

  /**
   * Rows by ranges of one width as `histogram()`, from the shortest length on. Where few rows are far longer than all others
   * the last range holds all from its start on.
   *
   * @param shown A length that is to lie within the ranges of one width if any row reaches it; default none.
   */
  bars(most: number, shown = 0): { readonly from: number; readonly to: number; readonly rows: number }[] {
    if (this.#rows === 0) return [];
    const { longest } = this, shortest = Math.min(...this.#counts.keys()), usual = this.quantile(0.99);
    const isFar = longest - shortest > 3 * Math.max(usual - shortest, 1);
    const last = isFar ? Math.max(usual, Math.min(shown, longest)) : longest;
    const width = rangeWidth(last - shortest + 1, most - 1), start = shortest - shortest % width;
    const ranges = Math.floor((last - start) / width) + 1, end = start + ranges * width;
    const bars = Array.from({ length: ranges }, (_, i) => {
      return { from: start + i * width, to: start + (i + 1) * width - 1, rows: 0 };
    });
    if (end <= longest) bars.push({ from: end, to: longest, rows: 0 });
    for (const [length, count] of this.#counts) {
      bars[Math.min(Math.floor((length - start) / width), bars.length - 1)]!.rows += count;
    }
    return bars;
  }

  /** Every length, ascending, as often as it came. */
  all(): number[] {
    return this.#sorted().flatMap(([length, count]) => Array<number>(count).fill(length));
  }

  #sorted(): [number, number][] {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }
}

function rangeWidth(span: number, most: number): number {
  for (let power = 1;; power *= 10) {
    for (const digit of [1, 2, 5]) if (span <= digit * power * most) return digit * power;
  }
}
