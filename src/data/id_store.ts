/**
 * Token ids of all rows, one behind the other: the first in memory, what exceeds its share in a scratch file.
 *
 * @module
 */
import type { Scratch } from "../storage.ts";

/** Ids of a chunk; chunks are kept or spilled as a whole. */
const CHUNK = 2 ** 18;
/** Ids that are read from the file at a time: rows that are read in order come from one block. */
const BLOCK = 2 ** 14;
/** Memory that ids may take before they are spilled. */
export const IDS_IN_MEMORY_BYTES = 16 * 2 ** 20;

type Ids = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Where ids go that do not fit the memory. */
export interface SpillOptions {
  /** Opens the file when it is first needed; null where there is none: then all stay in memory. */
  readonly scratch: (() => Scratch) | null;
  /** Default IDS_IN_MEMORY_BYTES. */
  readonly memoryBytes?: number;
}

export class IdStore {
  readonly #kind: Uint16ArrayConstructor | Uint32ArrayConstructor;
  readonly #open: (() => Scratch) | null;
  /** Chunks that stay in memory. */
  readonly #most: number;
  readonly #kept: Ids[] = [];
  /** The chunk behind the spilled ones, while it fills; null until something is spilled. */
  #filling: Ids | null = null;
  #scratch: Scratch | null = null;
  #length = 0;
  /** Ids that lie in the file. */
  #spilled = 0;
  #block: { readonly first: number; readonly ids: Ids } | null = null;

  /** @param vocabSize Largest id + 1; two bytes an id where that is enough. */
  constructor(
    vocabSize: number,
    { scratch, memoryBytes = IDS_IN_MEMORY_BYTES }: SpillOptions = { scratch: null },
  ) {
    this.#kind = vocabSize <= 2 ** 16 ? Uint16Array : Uint32Array;
    this.#open = scratch;
    this.#most = scratch
      ? Math.max(1, Math.floor(memoryBytes / (CHUNK * this.#kind.BYTES_PER_ELEMENT)))
      : Infinity;
  }

  get length(): number {
    return this.#length;
  }

  /** Memory taken. */
  get bytes(): number {
    const block = this.#block?.ids.byteLength ?? 0;
    return (this.#kept.length + (this.#filling ? 1 : 0)) * CHUNK * this.#kind.BYTES_PER_ELEMENT + block;
  }

  /** Adds the first `count` ids of a row. */
  append(ids: ArrayLike<number>, count: number): void {
    for (let from = 0; from < count;) {
      const at = this.#length % CHUNK;
      if (at === 0) this.#newChunk();
      const chunk = this.#filling ?? this.#kept.at(-1)!, part = Math.min(count - from, CHUNK - at);
      for (let i = 0; i < part; i++) chunk[at + i] = ids[from + i]!;
      this.#length += part;
      from += part;
    }
  }

  /** The ids of [start, end), both within 0..length. */
  slice(start: number, end: number): Int32Array<ArrayBuffer> {
    const ids = new Int32Array(end - start);
    for (let at = start; at < end;) {
      const { first, ids: found } = this.#around(at);
      const part = found.subarray(at - first, Math.min(found.length, end - first));
      ids.set(part, at - start);
      at += part.length;
    }
    return ids;
  }

  /** Removes the file. The ids are gone then. */
  close(): void {
    this.#scratch?.close();
    this.#scratch = null;
  }

  #newChunk(): void {
    if (this.#kept.length < this.#most) {
      this.#kept.push(new this.#kind(CHUNK));
      return;
    }
    if (this.#filling) {
      this.#scratch ??= this.#open!();
      this.#scratch.append(new Uint8Array(this.#filling.buffer));
      this.#spilled += CHUNK;
    }
    this.#filling ??= new this.#kind(CHUNK);
  }

  /** The piece in memory that holds an id, read from the file where it lies there. */
  #around(at: number): { readonly first: number; readonly ids: Ids } {
    const kept = this.#kept[Math.floor(at / CHUNK)];
    if (kept) return { first: at - at % CHUNK, ids: kept };
    const firstSpilled = this.#most * CHUNK;
    if (at >= firstSpilled + this.#spilled) {
      return { first: firstSpilled + this.#spilled, ids: this.#filling! };
    }
    const first = at - at % BLOCK;
    if (this.#block?.first !== first) {
      const size = this.#kind.BYTES_PER_ELEMENT;
      const bytes = this.#scratch!.read((first - firstSpilled) * size, BLOCK * size);
      this.#block = { first, ids: new this.#kind(bytes.buffer, bytes.byteOffset, BLOCK) };
    }
    return this.#block;
  }
}
