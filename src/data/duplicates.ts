import type { Example } from "./formats.ts";
import { GrowingArray } from "./growing_array.ts";

/**
 * Which examples are the same, told by 53 bits of a hash: eight bytes an example, and among a million a chance of one
 * in 18 000 that two differ and are taken for the same.
 */
export class ExampleHashes {
  readonly #hashes = new GrowingArray(Float64Array);

  get length(): number {
    return this.#hashes.length;
  }

  add(example: Example): void {
    this.#hashes.push(hashOf(JSON.stringify(example)));
  }

  /** Examples that came before already. */
  repeats(): number {
    const seen = new Set<number>();
    for (let i = 0; i < this.length; i++) seen.add(this.#hashes.get(i));
    return this.length - seen.size;
  }

  /** How many of the chosen examples are also among others. */
  alsoIn(others: ExampleHashes, chosen: Iterable<number>, among: Iterable<number>): number {
    const known = new Set<number>();
    for (const i of among) known.add(others.#hashes.get(i));
    let count = 0;
    for (const i of chosen) if (known.has(this.#hashes.get(i))) count++;
    return count;
  }
}

/** FNV-1a and a second hash of another multiplier, 53 bits of both. */
function hashOf(text: string): number {
  let a = 0x811c9dc5, b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b) ^ b >>> 13;
  }
  return (a >>> 0) * 2 ** 21 + (b >>> 11);
}
