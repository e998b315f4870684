import { fillUniform } from "../../src/random.ts";
import type { DropoutNumbers } from "./kernel.ts";

/** Slow f64 twin: the factors of x [rows · rowLength, cols], 0 or 1 / (1 − rate), and 0 beyond a row's length. */
export function dropoutFactors(
  { seed, step, firstToken, lengths }: DropoutNumbers,
  { stream, rate, cols, rowLength }: {
    readonly stream: number;
    readonly rate: number;
    readonly cols: number;
    readonly rowLength: number;
  },
): Float64Array {
  const factors = new Float64Array(lengths.length * rowLength * cols);
  const perToken = cols + cols % 2;
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const drawn = new Float32Array((firstToken + total) * perToken);
  fillUniform(drawn, 0, 1, { seed, stream, sequence: step });
  let token = firstToken;
  lengths.forEach((length, row) => {
    for (let t = 0; t < length; t++, token++) {
      for (let c = 0; c < cols; c++) {
        const isKept = drawn[token * perToken + c]! >= rate;
        factors[(row * rowLength + t) * cols + c] = isKept ? 1 / (1 - rate) : 0;
      }
    }
  });
  return factors;
}
