/**
 * The weight format of LLM.int8: one scale a row.
 *
 *     absmax_r = max_c |w_rc|      q_rc = round(w_rc · 127 / absmax_r)      ŵ_rc = q_rc · absmax_r / 127
 *
 * Halves round to even. bitsandbytes keeps absmax in a tensor named `SCB`.
 *
 * @see Dettmers et al. 2022, arXiv:2208.07339, section 2.
 * @module
 */

/** Quantised rows of a matrix. */
export interface Int8Rows {
  /** [rows, cols] */
  readonly codes: Int8Array<ArrayBuffer>;
  /** [rows] */
  readonly absmax: Float32Array<ArrayBuffer>;
}

/** Quantises whole rows of `cols` values. @throws {RangeError} If a value is not finite. */
export function quantizeInt8(values: Float32Array, cols: number): Int8Rows {
  const codes = new Int8Array(values.length);
  const absmax = new Float32Array(values.length / cols);
  for (let row = 0; row < absmax.length; row++) {
    const inRow = values.subarray(row * cols, (row + 1) * cols);
    const bad = inRow.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new RangeError(
        `Cannot quantise row ${row}, column ${bad} as it is ${
          inRow[bad]
        }: the weights are damaged or overflow`,
      );
    }
    const largest = inRow.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    absmax[row] = largest;
    if (largest === 0) continue;
    const scale = Math.fround(127 / largest);
    for (let c = 0; c < cols; c++) codes[row * cols + c] = roundHalfEven(Math.fround(inRow[c]! * scale));
  }
  return { codes, absmax };
}

/** Values of whole rows of `cols` codes. */
export function dequantizeInt8(
  codes: Int8Array,
  absmax: Float32Array,
  cols: number,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(codes.length);
  for (let row = 0; row < absmax.length; row++) {
    for (let c = 0, i = row * cols; c < cols; c++, i++) values[i] = codes[i]! * absmax[row]! / 127;
  }
  return values;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value), fraction = value - floor;
  return fraction > 0.5 || fraction === 0.5 && floor % 2 !== 0 ? floor + 1 : floor;
}
