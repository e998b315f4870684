/**
 * CRC-32C (Castagnoli), the checksum of TFRecord files and of object stores.
 *
 * @see RFC 3720, section 12.1.
 * @module
 */

/** The polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** TABLES[k][b]: what byte b adds to the sum k bytes further on, so that sixteen bytes are taken at once. */
const TABLES = tables();

const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

function tables(): readonly Int32Array[] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    return value;
  });
  const all = [first];
  for (let k = 1; k < 16; k++) {
    const before = all[k - 1]!;
    all.push(before.map((value) => first[value & 0xff]! ^ (value >>> 8)));
  }
  return all;
}

/** Checksum of bytes that come in pieces. */
export class Crc32c {
  #value = -1;

  update(bytes: Uint8Array): void {
    const { buffer, byteOffset, length } = bytes;
    const aligned = Math.min(-byteOffset & 3, length), words = (length - aligned) >> 4 << 2;
    let value = bytewise(this.#value, bytes, 0, aligned);
    if (LITTLE_ENDIAN && words > 0) {
      value = wordwise(value, new Int32Array(buffer, byteOffset + aligned, words));
    }
    this.#value = bytewise(value, bytes, LITTLE_ENDIAN ? aligned + 4 * words : aligned, length);
  }

  /** The sum so far, 0..2³²−1. */
  get value(): number {
    return ~this.#value >>> 0;
  }
}

function bytewise(sum: number, bytes: Uint8Array, from: number, to: number): number {
  const table = TABLES[0]!;
  let value = sum;
  for (let i = from; i < to; i++) value = table[(value ^ bytes[i]!) & 0xff]! ^ (value >>> 8);
  return value;
}

/** @param words Four at a time. */
function wordwise(sum: number, words: Int32Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12, t13, t14, t15] = TABLES as Sixteen;
  let value = sum;
  for (let i = 0; i < words.length; i += 4) {
    const a = value ^ words[i]!, b = words[i + 1]!, c = words[i + 2]!, d = words[i + 3]!;
    value = t15[a & 0xff]! ^ t14[a >>> 8 & 0xff]! ^ t13[a >>> 16 & 0xff]! ^ t12[a >>> 24]! ^
      t11[b & 0xff]! ^ t10[b >>> 8 & 0xff]! ^ t9[b >>> 16 & 0xff]! ^ t8[b >>> 24]! ^
      t7[c & 0xff]! ^ t6[c >>> 8 & 0xff]! ^ t5[c >>> 16 & 0xff]! ^ t4[c >>> 24]! ^
      t3[d & 0xff]! ^ t2[d >>> 8 & 0xff]! ^ t1[d >>> 16 & 0xff]! ^ t0[d >>> 24]!;
  }
  return value;
}

type Table = Int32Array;
// deno-fmt-ignore -- four words of four bytes
type Sixteen = readonly [
  Table, Table, Table, Table, Table, Table, Table, Table,
  Table, Table, Table, Table, Table, Table, Table, Table,
];

/** Checksum of bytes, 0..2³²−1. */
export function crc32c(bytes: Uint8Array): number {
  const sum = new Crc32c();
  sum.update(bytes);
  return sum.value;
}

/**
 * Checksum of two byte strings one after the other, from those of each.
 *
 * A sum is a polynomial modulo the generator, so the first one is multiplied by x to the power of the second one's bits:
 * that is a product with a 32 x 32 matrix over GF(2), squared as often as the length has binary digits.
 *
 * @param length Bytes of the second.
 */
export function joinedCrc32c(first: number, second: number, length: number): number {
  let matrix = ZERO_BYTE, sum = first;
  for (let left = length; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) sum = product(matrix, sum);
    matrix = matrix.map((column) => product(matrix, column));
  }
  return (sum ^ second) >>> 0;
}

/** What eight zero bits make of each single bit, as columns. */
const ZERO_BYTE: readonly number[] = Array.from({ length: 32 }, (_, bit) => {
  const value = 1 << bit;
  return TABLES[0]![value & 0xff]! ^ (value >>> 8);
});

function product(matrix: readonly number[], vector: number): number {
  let sum = 0;
  for (let bit = 0, left = vector; left !== 0; bit++, left >>>= 1) if (left & 1) sum ^= matrix[bit]!;
  return sum;
}

/** The form in which TFRecord stores it: rotated by 15 bits, plus a constant, so that sums of sums stay sums. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const sum = crc32c(bytes);
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}
