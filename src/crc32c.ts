/**
 * CRC-32C (Castagnoli), the checksum of TFRecord files and of object stores.
 *
 * @see RFC 3720, section 12.1.
 * @module
 */

/** The polynomial, bits reversed. */
const POLYNOMIAL = 0x82f63b78;

/** TABLES[k][b]: what byte b adds to the sum k bytes further on, so that eight bytes are taken at once. */
const TABLES = tables();

function tables(): readonly Int32Array[] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    return value;
  });
  const all = [first];
  for (let k = 1; k < 8; k++) {
    const before = all[k - 1]!;
    all.push(before.map((value) => first[value & 0xff]! ^ (value >>> 8)));
  }
  return all;
}

/** Checksum of bytes that come in pieces. */
export class Crc32c {
  #value = -1;

  update(bytes: Uint8Array): void {
    const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
    ];
    let value = this.#value, i = 0;
    for (const end = bytes.length - 7; i < end; i += 8) {
      value ^= bytes[i]! | bytes[i + 1]! << 8 | bytes[i + 2]! << 16 | bytes[i + 3]! << 24;
      value = t7[value & 0xff]! ^ t6[value >>> 8 & 0xff]! ^ t5[value >>> 16 & 0xff]! ^ t4[value >>> 24]! ^
        t3[bytes[i + 4]!]! ^ t2[bytes[i + 5]!]! ^ t1[bytes[i + 6]!]! ^ t0[bytes[i + 7]!]!;
    }
    for (; i < bytes.length; i++) value = t0[(value ^ bytes[i]!) & 0xff]! ^ (value >>> 8);
    this.#value = value;
  }

  /** The sum so far, 0..2³²−1. */
  get value(): number {
    return ~this.#value >>> 0;
  }
}

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
