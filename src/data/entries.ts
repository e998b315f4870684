/**
 * What a data file gives, whatever its kind, and how its bytes are read: once, from the first to the last.
 *
 * @module
 */
import type { FileReader } from "../storage.ts";
import type { Sha256 } from "./sha256.ts";

/**
 * One record of a file. `line` counts from 1: lines of JSON Lines and CSV, rows of a JSON array and of Parquet, where
 * lines say nothing.
 */
export type Entry =
  | { readonly kind: "row"; readonly line: number; readonly value: unknown; readonly text?: string }
  | { readonly kind: "blank"; readonly line: number }
  | BadEntry;

/** One that cannot be read. */
export interface BadEntry {
  /** Tells it from rows and blank lines. */
  readonly kind: "bad";
  /** From 1. */
  readonly line: number;
  /** What was found, what was wanted, and how to mend it. */
  readonly message: string;
  /** Its text, where it has any. */
  readonly text?: string;
  /** Where in the text it goes wrong, in UTF-16 units. */
  readonly at?: number | null;
  /** Whether all that follows cannot be told from it, so that it cannot be left out alone; default false. */
  readonly endsFile?: boolean;
}

/** How much is read at a time. */
export const CHUNK_BYTES = 2 ** 20;

/** The longest record that is read; a longer one is bad. */
export const MAX_RECORD_BYTES = 16 * 2 ** 20;

/**
 * All bytes of a file in order.
 *
 * @param hash Takes every byte.
 * @param chunkBytes Default CHUNK_BYTES.
 */
export async function* byteChunks(
  file: FileReader,
  hash: Sha256 | null = null,
  chunkBytes: number = CHUNK_BYTES,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < file.size;) {
    // the first chunk holds a whole byte order mark
    const length = Math.min(Math.max(chunkBytes, offset === 0 ? 3 : 1), file.size - offset);
    const chunk = await file.read(offset, length);
    hash?.update(chunk);
    yield offset === 0 && hasByteOrderMark(chunk) ? chunk.subarray(3) : chunk;
    offset += length;
  }
}

function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** Pieces of one record that lie in several chunks. */
export class RecordBytes {
  #parts: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds a piece; keeps none of a record that is too long. */
  add(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length <= MAX_RECORD_BYTES) this.#parts.push(part);
    else this.#parts = [];
  }

  /** The whole record, null if it is longer than MAX_RECORD_BYTES; the next one begins empty. */
  take(): Uint8Array | null {
    const [parts, length] = [this.#parts, this.#length];
    [this.#parts, this.#length] = [[], 0];
    if (length > MAX_RECORD_BYTES) return null;
    if (parts.length === 1) return parts[0]!;
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text of UTF-8 bytes; null if they are none. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return STRICT.decode(bytes);
  } catch {
    return null;
  }
}

/** A record that is no UTF-8, with its text as far as it is. */
export function notUtf8(line: number, bytes: Uint8Array, advice: string): BadEntry {
  const text = new TextDecoder().decode(bytes), at = text.indexOf("\uFFFD");
  return { kind: "bad", line, message: `is not UTF-8: if it is Latin-1, ${advice}`, text, at };
}
