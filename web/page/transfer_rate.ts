/**
 * How fast bytes come, and when the rest will have.
 *
 * @module
 */

/** Time that the rate is of, ms: shorter is restless, longer is slow to see a line that changes. */
const WINDOW_MS = 5000;

/** Less is too little to tell a rate of, ms. */
const LEAST_MS = 1000;

export class TransferRate {
  /** Counts of bytes and when they were told, the oldest first. */
  #told: { readonly ms: number; readonly bytes: number }[] = [];

  /** @param now The time, ms. */
  constructor(readonly now: () => number = () => performance.now()) {}

  /** @param bytes That have come so far. Fewer than before: they are counted anew. */
  tell(bytes: number): void {
    const ms = this.now();
    if (bytes < (this.#told.at(-1)?.bytes ?? 0)) this.#told = [];
    this.#told.push({ ms, bytes });
    // one that is older stays, so that the window is full
    while (this.#told.length > 2 && ms - this.#told[1]!.ms >= WINDOW_MS) this.#told.shift();
  }

  /** Bytes a second of late; null until it is known. */
  get bytesPerSecond(): number | null {
    const first = this.#told[0], last = this.#told.at(-1);
    if (!first || !last || last.ms - first.ms < LEAST_MS) return null;
    return (last.bytes - first.bytes) / (last.ms - first.ms) * 1000;
  }

  /** Seconds until so many more bytes have come; null where nobody can tell. */
  secondsFor(bytes: number): number | null {
    const rate = this.bytesPerSecond;
    return rate ? bytes / rate : null;
  }
}
