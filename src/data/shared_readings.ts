/** How files are read for all who share. */
export interface SharedReadingOptions {
  /** How many problems are listed one by one; default MAX_LISTED_ISSUES. */
  readonly mostIssues?: number;
  /** Whether problems come with the text of their lines; default false. */
  readonly excerpts?: boolean;
}

/** The last reading of each purpose, for those who want the same files again. */
export class SharedReadings {
  /** How files are read. */
  readonly options: SharedReadingOptions;
  readonly #last = new Map<string, { readonly key: string; readonly reading: Promise<unknown> }>();

  /** Holds nothing yet. */
  constructor(options: SharedReadingOptions = {}) {
    this.options = options;
  }

  /**
   * The reading of a key, made where the last one is another.
   *
   * @param purpose Of which one reading is held: the one before goes first.
   * @param key What decides its content.
   * @throws What `make` throws; the next who asks makes it anew.
   */
  async of<Reading>(purpose: string, key: string, make: () => Promise<Reading>): Promise<Reading> {
    for (let last = this.#last.get(purpose); last?.key === key; last = this.#last.get(purpose)) {
      const found = await last.reading.catch(() => null); // whoever made it may have given up
      if (found) return found as Reading;
      if (this.#last.get(purpose) === last) this.#last.delete(purpose);
    }
    this.#last.delete(purpose);
    const reading = make();
    this.#last.set(purpose, { key, reading });
    return await reading;
  }
}
