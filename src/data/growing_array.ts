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

/** Numbers that never fall, each less than 2^32 above the one before: four bytes each, however large they grow. */
export class GrowingSums {
  readonly #low = new GrowingArray(Uint32Array);
  /** Where the numbers pass a multiple of 2^32: the first index that lies beyond each. */
  readonly #passed: number[] = [];
  #last = 0;

  get length(): number {
    return this.#low.length;
  }

  get bytes(): number {
    return this.#low.bytes;
  }

  push(value: number): void {
    if (Math.floor(value / 2 ** 32) > Math.floor(this.#last / 2 ** 32)) this.#passed.push(this.length);
    this.#low.push(value % 2 ** 32);
    this.#last = value;
  }

  /** The number at an index below `length`. */
  get(index: number): number {
    let high = 0;
    while (high < this.#passed.length && this.#passed[high]! <= index) high++;
    return high * 2 ** 32 + this.#low.get(index);
  }
}
