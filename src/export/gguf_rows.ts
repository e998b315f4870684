/**
 * Rows in the order in which llama.cpp wants them: Llama's rotation pairs neighbours there, and halves here.
 *
 * @module
 */
import { turnedRow } from "../checkpoint/gguf_names.ts";

/** Whole heads of rows, turned; a new array. */
export function turnRows(values: Float32Array, columns: number, headDim: number): Float32Array<ArrayBuffer> {
  const turned = new Float32Array(values.length);
  for (let row = 0; row * columns < values.length; row++) {
    turned.set(values.subarray(row * columns, (row + 1) * columns), turnedRow(row, headDim) * columns);
  }
  return turned;
}
