/**
 * SHA-256 of bytes that come piece by piece, which Web Crypto cannot do.
 *
 * @see FIPS 180-4, sections 4.2.2, 5 and 6.2.
 * @module
 */

const BLOCK_BYTES = 64;

/** Square roots of the first 8 primes and cube roots of the first 64: the first 32 bits of their fractions. */
const primes = Array.from({ length: 312 }, (_, n) => n).filter((n) =>
  n > 1 && !Array.from({ length: n }, (_, d) => d).some((d) => d > 1 && n % d === 0)
);
const fraction = (x: number) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)));
const ROUND = Int32Array.from(primes.slice(0, 64), (prime) => fraction(Math.cbrt(prime)));

/** A hash in the making. */
export class Sha256 {
  readonly #state = START.slice();
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #words = new Int32Array(64);
  #bytes = 0;

  /** Takes the next bytes. */
  update(bytes: Uint8Array): void {
    let from = 0, filled = this.#bytes % BLOCK_BYTES;
    this.#bytes += bytes.length;
    while (from < bytes.length) {
      if (filled === 0 && bytes.length - from >= BLOCK_BYTES) {
        this.#compress(bytes, from);
        from += BLOCK_BYTES;
        continue;
      }
      const count = Math.min(BLOCK_BYTES - filled, bytes.length - from);
      this.#block.set(bytes.subarray(from, from + count), filled);
      from += count;
      filled = (filled + count) % BLOCK_BYTES;
      if (filled === 0) this.#compress(this.#block, 0);
    }
  }

  /** The hash of all bytes so far, in hex. Nothing may be taken after it. */
  digest(): string {
    const bits = BigInt(this.#bytes) * 8n;
    const padding = new Uint8Array((119 - this.#bytes % BLOCK_BYTES) % BLOCK_BYTES + 1 + 8);
    padding[0] = 0x80;
    new DataView(padding.buffer).setBigUint64(padding.length - 8, bits);
    this.update(padding);
    return [...this.#state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** One block into the state. Rotations are spelled out: this loop reads every byte of the data. */
  #compress(bytes: Uint8Array, at: number): void {
    const w = this.#words, state = this.#state;
    for (let i = 0; i < 16; i++, at += 4) {
      w[i] = bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!;
    }
    for (let i = 16; i < 64; i++) {
      const x = w[i - 15]!, y = w[i - 2]!;
      const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
      const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
      w[i] = w[i - 16]! + s0 + w[i - 7]! + s1;
    }
    let a = state[0]!, b = state[1]!, c = state[2]!, d = state[3]!;
    let e = state[4]!, f = state[5]!, g = state[6]!, h = state[7]!;
    for (let i = 0; i < 64; i++) {
      const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
      const t1 = (h + s1 + (e & f ^ ~e & g) + ROUND[i]! + w[i]!) | 0;
      const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
      const t2 = (s0 + (a & b ^ a & c ^ b & c)) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    for (const [i, value] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + value;
  }
}
