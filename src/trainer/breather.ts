/**
 * Lets the event loop run between batches, so that a signal, a message or a click arrives while steps are submitted.
 * Submitting alone awaits nothing that would let it in.
 *
 * @module
 */

/** Longest time without a turn of the event loop, while batches are short enough. A turn costs about 1 ms. */
const INTERVAL_MS = 100;

export class Breather {
  #last = performance.now();

  /** Gives the event loop a turn if the last one was long ago. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#last < INTERVAL_MS) return;
    await new Promise((done) => setTimeout(done, 0));
    this.#last = performance.now();
  }
}
