import { fillUniform } from "../../src/random.ts";
import type { NoiseNumbers } from "./kernel.ts";

/** Slow f64 twin: noise for x [rows · rowLength, cols], zero beyond a row's length. */
export function noise(
  { seed, stream, step, alpha, firstToken, lengths }: NoiseNumbers,
  cols: number,
  rowLength: number,
): Float64Array {
  const out = new Float64Array(lengths.length * rowLength * cols);
  const perToken = cols + cols % 2;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const drawn = new Float32Array((firstToken + total) * perToken);
  fillUniform(drawn, -1, 1, { seed, stream, sequence: step });
  let token = firstToken;
  lengths.forEach((length, row) => {
    const size = alpha / Math.sqrt(length * cols);
    for (let t = 0; t < length; t++, token++) {
      for (let c = 0; c < cols; c++) {
        out[(row * rowLength + t) * cols + c] = size * drawn[token * perToken + c]!;
      }
    }
  });
  return out;
}
