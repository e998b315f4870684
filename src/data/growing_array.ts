/** Numbers of a chunk. */
const CHUNK = 2 ** 18;

/** Holds numbers of a kind, at their size and no more. */
export type NumberKind = Uint32ArrayConstructor | Float64ArrayConstructor;

/** A list of numbers that grows without being copied: a gigabyte of text becomes hundreds of millions of them. */
export class GrowingArray {
  readonly #kind: NumberKind;
  readonly #chunks: InstanceType<NumberKind>[] = [];
  #length = 0;

  constructor(kind: NumberKind) {
    this.#kind = kind;
  }

  get length(): number {
    return this.#length;
  }

  /** Memory taken. */
  get bytes(): number {
    return this.#chunks.length * CHUNK * this.#kind.BYTES_PER_ELEMENT;
  }

  push(value: number): void {
    const at = this.#length++ % CHUNK;
    if (at === 0) this.#chunks.push(new this.#kind(CHUNK));
    this.#chunks.at(-1)![at] = value;
  }

  /** All numbers in one array. */
  whole(): InstanceType<NumberKind> {
    const whole = new this.#kind(this.#length);
    for (const [i, chunk] of this.#chunks.entries()) {
      whole.set(chunk.subarray(0, this.#length - i * CHUNK), i * CHUNK);
    }
    return whole;
  }

  /** The number at an index below `length`. */
  get(index: number): number {
    return this.#chunks[Math.floor(index / CHUNK)]![index % CHUNK]!;
  }
}
