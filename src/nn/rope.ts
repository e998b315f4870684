/**
 * Rotary position embedding in the half-split layout, of queries and keys together.
 *
 * @see Su et al. 2021, arXiv:2104.09864.
 * @module
 */
import { ropeRotate } from "../../kernels/rope/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Tables of cosines and sines, [T, P] for P pairs of a head, computed on the host in f64. */
export interface RopeTables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Queries [R, H·D] and keys [R, G·D], or their gradients. */
export interface QueriesAndKeys {
  readonly q: Tensor;
  readonly k: Tensor;
}

/**
 * Turns the first 2P elements of every head by the row's position; `positions` [R] are rows of the tables. Direction −1
 * is the way back, the gradient.
 *
 * @throws {RangeError} If the tables turn more than a head, or the head is not a multiple of 4.
 */
export function rotate(
  run: StepRecorder,
  { q, k }: QueriesAndKeys,
  { cos, sin }: RopeTables,
  { positions, headDim, direction }: { positions: Tensor; headDim: number; direction: 1 | -1 },
): QueriesAndKeys {
  const rows = q.shape[0]!, qCols = matrixShape(q).cols, kCols = matrixShape(k).cols;
  const pairs = matrixShape(cos).cols;
  if (headDim % 4 !== 0 || 2 * pairs > headDim) {
    throw new RangeError(
      `Cannot turn ${2 * pairs} elements of heads of ${headDim}: they have fewer, or are not a multiple of 4`,
    );
  }
  const turned = { q: run.tensor(`${q.label} turned`, q.shape), k: run.tensor(`${k.label} turned`, k.shape) };
  run.dispatch(
    ropeRotate,
    {
      turned_q: turned.q,
      turned_k: turned.k,
      q: run.readOnce(q),
      k: run.readOnce(k),
      cosines: cos,
      sines: sin,
      positions,
    },
    {
      rows,
      head_dim: headDim,
      pairs,
      turned_q_cols: qCols,
      turned_k_cols: kCols,
      q_cols: qCols,
      k_cols: kCols,
      direction,
    },
    { ...ropeRotate.constants, ALIGNED: pairs % 4 === 0 ? 1 : 0 },
  );
  return turned;
}

/**
 * Position of each token [rows · rowLength] in its row, or in its document where documents are packed into one row.
 * Padding counts on from the last document.
 */
export function rowPositions(
  rows: number,
  rowLength: number,
  documents?: readonly (readonly number[])[],
): Uint32Array<ArrayBuffer> {
  const positions = Uint32Array.from({ length: rows * rowLength }, (_, i) => i % rowLength);
  documents?.forEach((lengths, row) => {
    let start = 0;
    for (const length of lengths.slice(0, -1)) {
      start += length;
      for (let t = start; t < rowLength; t++) positions[row * rowLength + t] = t - start;
    }
  });
  return positions;
}
