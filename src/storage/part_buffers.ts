/**
 * Memory for parts of files on their way to a store: how many there are is how many parts move at the same time, whatever
 * the number and the size of the files.
 *
 * @module
 */

export class PartBuffers {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];
  readonly #waiting: (() => void)[] = [];
  #left: number;

  /** @param count Buffers that are out at the same time at most. */
  constructor(count: number) {
    this.#left = count;
  }

  /** A buffer of at least so many bytes, once one is free. What it held before is still there. */
  async take(bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#left > 0) this.#left--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const free = this.#free.pop();
    return free && free.length >= bytes ? free : new Uint8Array(bytes);
  }

  /** Gives a buffer back. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    this.#free.push(buffer);
    const next = this.#waiting.shift();
    if (next) next();
    else this.#left++;
  }
}
