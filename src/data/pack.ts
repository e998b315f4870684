/**
 * Packing: several short rows in one row of the batch, each a document of its own, so that little is padding.
 *
 * @module
 */

/** The smallest free room that is at least as large as asked, found in the logarithm of the capacity. */
class FreeRooms {
  /** Packs by free room. */
  readonly #packs: number[][];
  /** A tree over free rooms, 1-based: the largest room below each node that some pack has; 0 for none. */
  readonly #largest: Uint32Array;
  readonly #leaves: number;

  constructor(capacity: number) {
    this.#packs = Array.from({ length: capacity + 1 }, () => []);
    this.#leaves = 2 ** Math.ceil(Math.log2(capacity + 1));
    this.#largest = new Uint32Array(2 * this.#leaves);
  }

  add(room: number, pack: number): void {
    this.#packs[room]!.push(pack);
    this.#mark(room);
  }

  /** Takes a pack of the smallest room of `least` or more; null if there is none. */
  take(least: number): { room: number; pack: number } | null {
    let node = 1;
    if (this.#largest[node]! < least) return null;
    while (node < this.#leaves) node = this.#largest[2 * node]! >= least ? 2 * node : 2 * node + 1;
    const room = node - this.#leaves;
    const pack = this.#packs[room]!.pop()!;
    this.#mark(room);
    return { room, pack };
  }

  #mark(room: number): void {
    let node = this.#leaves + room;
    this.#largest[node] = this.#packs[room]!.length > 0 ? room : 0;
    while (node > 1) {
      node >>= 1;
      this.#largest[node] = Math.max(this.#largest[2 * node]!, this.#largest[2 * node + 1]!);
    }
  }
}

/**
 * Which rows share a row of the batch, by best fit decreasing: the longest first, each where it leaves the least room.
 * Needs at most 11/9 of the fewest packs possible, and 1.
 *
 * @param lengths Tokens of each row.
 * @param capacity Tokens of a pack.
 * @returns Indices of the rows of each pack, in the order of the data; each row is in one pack.
 * @throws {RangeError} If a row is longer than a pack.
 * @see Johnson 1973, Near-optimal bin packing algorithms; the strategy `bfd` of TRL.
 */
export function packRows(lengths: ArrayLike<number>, capacity: number): number[][] {
  const packs: number[][] = [];
  const rooms = new FreeRooms(capacity);
  const longestFirst = Uint32Array.from({ length: lengths.length }, (_, row) => row)
    .sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  for (const row of longestFirst) {
    const length = lengths[row]!;
    if (length > capacity) {
      throw new RangeError(`Cannot pack a row of ${length} tokens into rows of ${capacity}`);
    }
    const { room, pack } = rooms.take(length) ?? { room: capacity, pack: packs.push([]) - 1 };
    packs[pack]!.push(row);
    rooms.add(room - length, pack);
  }
  for (const rows of packs) rows.sort((a, b) => a - b);
  return packs.sort((a, b) => a[0]! - b[0]!);
}
