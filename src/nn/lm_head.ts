/**
 * Final norm, output head and cross-entropy, a chunk of labelled tokens at a time.
 *
 *     z = norm(x_r)·Wᵀ, or c·tanh(z / c) of it        loss = Σ_r (log Σ_c exp z_c − z_target)
 *     dz_c = weight · (softmax(z)_c − [c = target])        dx_r = norm'(dz·W)        dW += dzᵀ·norm(x) where W is trained
 *
 * Only rows that carry a label are gathered. Their logits exist one chunk at a time and, within a chunk, one shard of
 * the vocabulary a tensor; nothing of the size rows × vocabulary is ever held.
 *
 * @module
 */
import {
  crossEntropyGrad,
  crossEntropyLoss,
  crossEntropyStats,
  softcap,
} from "../../kernels/cross_entropy/kernel.ts";
import { matmulBackwardWeight } from "../../kernels/matmul/kernel.ts";
import { gatherRows, scatterRows } from "../../kernels/rows/kernel.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { Shard } from "./frozen_matrix.ts";
import { recordBackwardFactor, recordBackwardInput, recordForward } from "./products.ts";
import type { RmsNorm, RmsNormSaved } from "./rms_norm.ts";
import { rowLanes } from "./row_lanes.ts";
import type { StepRecorder } from "./step_recorder.ts";
import type { MatrixWeight } from "./weight.ts";

const LEAST_CHUNK_ROWS = 32;
/** So that the rows of a chunk fit a texture, one side of a grid and the loops of one invocation on any adapter. */
const MOST_CHUNK_ROWS = 8192;

/** The labelled rows of a batch, compact: position i is row `index[i]` with target `targets[i]`. */
export interface LabelledRows {
  readonly index: Tensor;
  readonly targets: Tensor;
}

/** Where losses and the sign of trouble are collected, and the weight of one token. */
export interface LossSinks {
  /** [4] f32: summed loss, gradient norm, clipping coefficient, targets that have the largest logit. */
  readonly totals: Tensor;
  /** [1] u32: not zero once a value was not finite. */
  readonly flags: Tensor;
  /** [1] f32: 1 / labelled tokens of the optimizer step. */
  readonly scalars: Tensor;
}

/** Labelled tokens whose logits over a vocabulary exist at a time, in about so many bytes, of a batch of `rows` tokens. */
export function headChunkRows(vocabulary: number, rows: number, bytes: number): number {
  const fitting = Math.floor(bytes / (4 * vocabulary) / 32) * 32;
  return Math.min(rows, MOST_CHUNK_ROWS, Math.max(LEAST_CHUNK_ROWS, fitting));
}

/** What the head computed of a chunk of labelled rows. */
export interface HeadLogits {
  /** [rows, shard] by shard of the vocabulary. */
  readonly shards: readonly Tensor[];
  /** [rows, C]: norm(x). */
  readonly normed: Tensor;
  readonly saved: RmsNormSaved;
}

/** What {@link LmHead.backward} needs of a chunk. */
export interface HeadSaved extends HeadLogits {
  /** [rows, 3]: what turns a row's logits into its softmax. */
  readonly state: Tensor;
}

/** Final norm, output head and loss: the end of a decoder. */
export class LmHead {
  readonly norm: RmsNorm;
  readonly weight: MatrixWeight;
  /** c of c·tanh(z / c) on logits; null for none. */
  readonly softcap: number | null;
  readonly #logitBytes: number;

  /** @param logitBytes About so many bytes of logits exist at a time; see {@link headChunkRows}. */
  constructor(norm: RmsNorm, weight: MatrixWeight, logitBytes: number, softcap: number | null = null) {
    this.norm = norm;
    this.weight = weight;
    this.softcap = softcap;
    this.#logitBytes = logitBytes;
  }

  /** Rows of one chunk for a batch of `rows` rows. */
  chunkRows(rows: number): number {
    return headChunkRows(this.weight.rows, rows, this.#logitBytes);
  }

  /** Logits [rows, shard] of the chunk that starts at labelled row `first`, one tensor a shard. */
  logits(run: StepRecorder, x: Tensor, labelled: LabelledRows, first: number, rows: number): HeadLogits {
    const made = this.#uncapped(run, x, labelled, first, rows), cap = this.softcap;
    if (cap === null) return made;
    const shards = made.shards.map((logits) => {
      const { cols } = matrixShape(logits), y = run.tensor("capped logits", [rows, cols]);
      run.dispatch(softcap, { y, x: run.operand(logits) }, { rows, y_cols: cols, x_cols: cols, cap });
      return y;
    });
    return { ...made, shards };
  }

  #uncapped(run: StepRecorder, x: Tensor, labelled: LabelledRows, first: number, rows: number): HeadLogits {
    const cols = matrixShape(x).cols;
    const gathered = run.tensor("head x", [rows, cols]);
    run.dispatch(gatherRows, { y: gathered, x, index: labelled.index }, { rows, cols, first });
    const { y: normed, saved } = this.norm.forward(run, gathered);
    const shards = this.weight.shardsOn(run).map((shard) => {
      const y = run.tensor("logits", [rows, shard.rows]);
      recordForward(run, { y, x: run.operand(normed), w: shard.operand, inner: cols });
      return y;
    });
    return { shards, normed, saved };
  }

  /** Adds the chunk's summed loss to totals[0]; returns what {@link backward} needs. */
  forward(
    run: StepRecorder,
    x: Tensor,
    labelled: LabelledRows,
    sinks: LossSinks,
    first: number,
    rows: number,
  ): HeadSaved {
    const { shards, normed, saved } = this.#uncapped(run, x, labelled, first, rows);
    const state = run.tensor("cross-entropy state", [rows, 3]);
    const { targets } = labelled;
    const weights = this.weight.shardsOn(run);
    shards.forEach((logits, i) => {
      run.dispatch(
        crossEntropyStats,
        { state, flags: sinks.flags, logits: run.operand(logits), targets },
        this.#sizes(weights[i]!, rows, first),
        this.#constants(run, weights[i]!),
      );
    });
    run.dispatch(crossEntropyLoss, { totals: sinks.totals, state, targets }, { rows, first_row: first });
    return { shards, normed, saved, state };
  }

  /** Scatters the gradient of the chunk's rows into dx [R, C], which is zero where no label is. */
  backward(
    run: StepRecorder,
    { shards, normed, saved, state }: HeadSaved,
    labelled: LabelledRows,
    sinks: LossSinks,
    dx: Tensor,
    first: number,
    rows: number,
  ): void {
    const { cols } = matrixShape(dx);
    const dnormed = run.tensor("head dnorm", [rows, cols]);
    const weights = this.weight.shardsOn(run);
    // several shards add up from zero: one large kernel to compile and hold, not two
    const mode = shards.length === 1 ? "set" : "accumulate";
    if (mode === "accumulate") run.clear(dnormed);
    shards.forEach((logits, i) => {
      const shard = weights[i]!;
      const dlogits = run.tensor("dlogits", [rows, shard.rows]);
      run.dispatch(
        crossEntropyGrad,
        { dlogits, logits: run.operand(logits), state, targets: labelled.targets, scalars: sinks.scalars },
        { ...this.#sizes(shard, rows, first), dlogits_cols: shard.rows },
        this.#constants(run, shard),
      );
      recordBackwardInput(run, {
        y: dnormed,
        mode,
        x: run.operand(dlogits),
        w: shard.operand,
        inner: shard.rows,
      });
      if (this.weight.grad) {
        recordBackwardFactor(run, matmulBackwardWeight, {
          out: this.weight.grad,
          left: run.operand(dlogits),
          right: run.operand(normed),
          rows,
          leftCols: shard.rows,
          rightCols: cols,
        });
      }
    });
    const dgathered = this.norm.backward(run, dnormed, saved, null);
    run.dispatch(scatterRows, { y: dx, x: dgathered, index: labelled.index }, { rows, cols, first });
  }

  #sizes({ firstRow, rows: cols }: Shard, rows: number, first: number) {
    return { rows, logits_cols: cols, first_id: firstRow, first_row: first, cap: this.softcap ?? 0 };
  }

  #constants(run: StepRecorder, shard: Shard) {
    return { ...rowLanes(run.variants.rows, shard.rows), SOFTCAP: this.softcap === null ? 0 : 1 };
  }
}
