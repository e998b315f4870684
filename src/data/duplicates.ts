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

  /** Those of some places, in their order. */
  at(places: Uint32Array): ExampleHashes {
    const chosen = new ExampleHashes();
    for (const place of places) chosen.#hashes.push(this.#hashes.get(place));
    return chosen;
  }

  /** Examples that came before already. */
  repeats(): number {
    const sorted = this.#sorted(() => true);
    let count = 0;
    for (let i = 1; i < sorted.length; i++) if (sorted[i] === sorted[i - 1]) count++;
    return count;
  }

  /** How many of the chosen examples are also among some of others; both are told by their places. */
  alsoIn(
    others: ExampleHashes,
    isChosen: (place: number) => boolean,
    isAmong: (place: number) => boolean,
  ): number {
    const known = others.#sorted(isAmong);
    let count = 0;
    for (let i = 0; i < this.length; i++) if (isChosen(i) && holds(known, this.#hashes.get(i))) count++;
    return count;
  }

  /** Hashes of some examples, ascending: a set of as many would take ten times the memory. */
  #sorted(isWanted: (place: number) => boolean): Float64Array {
    let count = 0;
    for (let i = 0; i < this.length; i++) if (isWanted(i)) count++;
    const hashes = new Float64Array(count);
    for (let i = 0, at = 0; i < this.length; i++) if (isWanted(i)) hashes[at++] = this.#hashes.get(i);
    return hashes.sort();
  }
}

/** Whether an ascending list holds a number. */
function holds(sorted: Float64Array, wanted: number): boolean {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle]! < wanted) from = middle + 1;
    else to = middle;
  }
  return sorted[from] === wanted;
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
