/**
 * Causal attention with grouped key/value heads: out_t = Σ_s softmax_s(scale · q_t·k_s) v_s over the keys that
 * the spans let t see. No score matrix is kept; backward computes the probabilities again from the log-sum-exp.
 *
 * @see Dao et al. 2022, arXiv:2205.14135; Ainslie et al. 2023, arXiv:2305.13245.
 * @module
 */
import {
  attentionBackwardKeyValue,
  attentionBackwardQuery,
  attentionForward,
} from "../../kernels/attention/kernel.ts";
import type { Tensor } from "../tensor.ts";
import { attentionTile } from "./attention_tile.ts";
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward; q and k are rotated already. stats [B·H, 2·T]: log-sum-exp, delta of each token. */
export interface AttentionSaved {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly out: Tensor;
  readonly stats: Tensor;
}

/** Sizes of an attention layer, and how it scores. */
export interface AttentionOptions {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Factor of q·k; default headDim^(−1/2). */
  readonly scale?: number;
  /** c of the cap c·tanh(z / c) on scaled scores (Gemma-2); default none. */
  readonly softcap?: number | null;
}

export class Attention {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly scale: number;
  /** 0 without a cap. */
  readonly softcap: number;

  /** @throws {RangeError} If heads are not a multiple of kvHeads, or headDim is not a multiple of 4. */
  constructor({ heads, kvHeads, headDim, scale = headDim ** -0.5, softcap }: AttentionOptions) {
    if (heads % kvHeads !== 0) {
      throw new RangeError(
        `Cannot group ${heads} query heads over ${kvHeads} key/value heads: not a multiple`,
      );
    }
    if (headDim % 4 !== 0) {
      throw new RangeError(`Cannot build attention: head_dim ${headDim} is not a multiple of 4`);
    }
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.scale = scale;
    this.softcap = softcap ?? 0;
  }

  /** out [R, H·D] from q [R, H·D], k and v [R, G·D]; `spans` [R, 2] are those of `attentionSpans()`. */
  forward(
    run: StepRecorder,
    { q, k, v }: { q: Tensor; k: Tensor; v: Tensor },
    spans: Tensor,
    rowLength: number,
  ): { y: Tensor; saved: AttentionSaved } {
    const batch = q.shape[0]! / rowLength;
    const out = run.tensor("attention out", q.shape);
    const stats = run.tensor("attention stats", [batch * this.heads, 2 * rowLength]);
    run.dispatch(
      attentionForward,
      { out, stats, q: run.operand(q), k: run.operand(k), v: run.operand(v), spans },
      { batch, row_length: rowLength, heads: this.heads, ...this.#shared() },
      attentionTile(run.variants.attention, "forward", this),
    );
    return { y: out, saved: { q, k, v, out, stats } };
  }

  backward(
    run: StepRecorder,
    dout: Tensor,
    { q, k, v, out, stats }: AttentionSaved,
    spans: Tensor,
    rowLength: number,
  ): { dq: Tensor; dk: Tensor; dv: Tensor } {
    const batch = q.shape[0]! / rowLength, width = this.heads * this.headDim;
    const dq = run.tensor("dq", q.shape), dk = run.tensor("dk", k.shape), dv = run.tensor("dv", v.shape);
    const operands = {
      q: run.operand(q),
      k: run.operand(k),
      v: run.operand(v),
      dout: run.operand(dout),
      spans,
    };
    run.dispatch(
      attentionBackwardQuery,
      { dq, stats, out: run.operand(out), ...operands },
      {
        batch,
        row_length: rowLength,
        heads: this.heads,
        out_cols: width,
        dout_cols: width,
        ...this.#shared(),
      },
      attentionTile(run.variants.attention, "backwardQuery", this),
    );
    run.dispatch(
      attentionBackwardKeyValue,
      { dk, dv, stats: run.operand(stats), ...operands },
      {
        batch,
        row_length: rowLength,
        kv_heads: this.kvHeads,
        stats_cols: 2 * rowLength,
        dout_cols: width,
        ...this.#shared(),
      },
      attentionTile(run.variants.attention, "backwardKeyValue", this),
    );
    return { dq, dk, dv };
  }

  #shared() {
    const kvCols = this.kvHeads * this.headDim;
    return {
      group: this.heads / this.kvHeads,
      q_cols: this.heads * this.headDim,
      k_cols: kvCols,
      v_cols: kvCols,
      scale: this.scale,
      softcap: this.softcap,
    };
  }
}
