/**
 * Reading the little-endian fields of a GGUF header in order. Every count and length is held against the size of the file
 * before anything is allocated for it.
 *
 * @module
 */
import { ModelFormatError } from "../errors.ts";

/** Numbers of one type, as they lie in the file. */
export type GgufNumbers =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** A value of the metadata. Whole numbers of 64 bits are numbers where those are exact. */
export type GgufValue = number | bigint | boolean | string | GgufNumbers | readonly GgufValue[];

/** Bytes of a key or a tensor's name. */
const MAX_NAME_BYTES = 65_535;
/** Arrays within arrays; no writer nests more than once. */
const MAX_NESTING = 3;
/** The smallest array or string is a length (and an element type). */
const STRING_BYTES = 8, ARRAY_BYTES = 12;

const BOOL = 7, STRING = 8, ARRAY = 9;

/** Number types by their ids: bytes and how an array of them is made. */
const NUMBERS: ReadonlyMap<number, { bytes: number; of: (buffer: ArrayBuffer) => GgufNumbers }> = new Map([
  [0, { bytes: 1, of: (buffer) => new Uint8Array(buffer) }],
  [1, { bytes: 1, of: (buffer) => new Int8Array(buffer) }],
  [2, { bytes: 2, of: (buffer) => new Uint16Array(buffer) }],
  [3, { bytes: 2, of: (buffer) => new Int16Array(buffer) }],
  [4, { bytes: 4, of: (buffer) => new Uint32Array(buffer) }],
  [5, { bytes: 4, of: (buffer) => new Int32Array(buffer) }],
  [6, { bytes: 4, of: (buffer) => new Float32Array(buffer) }],
  [10, { bytes: 8, of: (buffer) => new BigUint64Array(buffer) }],
  [11, { bytes: 8, of: (buffer) => new BigInt64Array(buffer) }],
  [12, { bytes: 8, of: (buffer) => new Float64Array(buffer) }],
]);

/** The bytes at hand end before the header does, though the file goes on: more must be read. */
export class PrefixTooShort extends Error {
  override readonly name = "PrefixTooShort";
}

/** A place in the first bytes of a file. Each read names its field, for messages. */
export class GgufCursor {
  offset = 0;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #fileBytes: number;
  readonly #uri: string;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** @param prefix The first bytes of a file of `fileBytes`. @param uri Name of the file for messages. */
  constructor(prefix: Uint8Array, fileBytes: number, uri: string) {
    this.#bytes = prefix;
    this.#view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
    this.#fileBytes = fileBytes;
    this.#uri = uri;
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  /** A whole number of 64 bits that must be at most `most`. */
  count(field: string, most: number): number {
    const value = this.#view.getBigUint64(this.#take(8, field), true);
    if (value <= most) return Number(value);
    throw this.fail(`${field} is ${value}, at most ${most} is possible`);
  }

  /** A key or a tensor's name. */
  name(field: string): string {
    const text = this.#text(field, MAX_NAME_BYTES);
    if (text !== "") return text;
    throw this.fail(`${field} is empty`);
  }

  /** A value, its type before it. */
  value(field: string): GgufValue {
    return this.#valueOf(this.u32(`the type of ${field}`), field, 0);
  }

  fail(problem: string): ModelFormatError {
    return new ModelFormatError(`Cannot read "${this.#uri}" as GGUF: ${problem}`);
  }

  #valueOf(type: number, field: string, depth: number): GgufValue {
    if (type === STRING) return this.#text(field, this.#left());
    if (type === BOOL) return this.#boolean(field);
    if (type === ARRAY) return this.#array(field, depth);
    const [value] = this.#numbers(type, 1, field);
    return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value!;
  }

  #array(field: string, depth: number): GgufValue {
    if (depth === MAX_NESTING) throw this.fail(`${field} nests arrays more than ${MAX_NESTING} deep`);
    const type = this.u32(`the element type of ${field}`);
    const elementBytes = type === STRING ? STRING_BYTES : type === ARRAY ? ARRAY_BYTES : 1;
    const length = this.count(
      `the length of ${field}`,
      Math.floor(Math.max(0, this.#left() - 8) / elementBytes),
    );
    if (NUMBERS.has(type)) return this.#numbers(type, length, field);
    if (type !== STRING && type !== BOOL && type !== ARRAY) throw this.#unknownType(type, field);
    const values: GgufValue[] = [];
    for (let i = 0; i < length; i++) values.push(this.#valueOf(type, `${field}[${i}]`, depth + 1));
    return values;
  }

  #numbers(type: number, length: number, field: string): GgufNumbers {
    const numbers = NUMBERS.get(type);
    if (!numbers) throw this.#unknownType(type, field);
    const at = this.#take(length * numbers.bytes, field);
    return numbers.of(this.#bytes.slice(at, this.offset).buffer as ArrayBuffer);
  }

  #boolean(field: string): boolean {
    const byte = this.#view.getUint8(this.#take(1, field));
    if (byte <= 1) return byte === 1;
    throw this.fail(`${field} is a boolean of ${byte}, 0 or 1 is wanted`);
  }

  #text(field: string, mostBytes: number): string {
    const length = this.count(`the length of ${field}`, mostBytes);
    const at = this.#take(length, field);
    try {
      return this.#utf8.decode(this.#bytes.subarray(at, this.offset));
    } catch {
      throw this.fail(`${field} is not UTF-8 text`);
    }
  }

  /** Moves on by some bytes and gives where they begin. */
  #take(bytes: number, field: string): number {
    const at = this.offset, end = at + bytes;
    if (end > this.#fileBytes) {
      throw this.fail(
        `${field} ends at byte ${end}, the file has ${this.#fileBytes}: it is cut short, fetch it again`,
      );
    }
    if (end > this.#bytes.length) throw new PrefixTooShort();
    this.offset = end;
    return at;
  }

  #left(): number {
    return this.#fileBytes - this.offset;
  }

  #unknownType(type: number, field: string): ModelFormatError {
    return this.fail(`${field} has type ${type}, 0 to ${Math.max(...NUMBERS.keys())} are known`);
  }
}
