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
import type { StepRecorder } from "./step_recorder.ts";

/** Kept from forward for backward; q and k are rotated already. stats [B, H, T, 2]: log-sum-exp, delta. */
export interface AttentionSaved {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly out: Tensor;
  readonly stats: Tensor;
}

export class Attention {
  readonly #heads: number;
  readonly #kvHeads: number;
  readonly #headDim: number;
  readonly #scale: number;

  /** @throws {RangeError} If heads are not a multiple of kvHeads, or headDim is not a multiple of 4. */
  constructor({ heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number }) {
    if (heads % kvHeads !== 0) {
      throw new RangeError(
        `Cannot group ${heads} query heads over ${kvHeads} key/value heads: not a multiple`,
      );
    }
    if (headDim % 4 !== 0) {
      throw new RangeError(`Cannot build attention: head_dim ${headDim} is not a multiple of 4`);
    }
    this.#heads = heads;
    this.#kvHeads = kvHeads;
    this.#headDim = headDim;
    this.#scale = headDim ** -0.5;
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
    const stats = run.tensor("attention stats", [batch, this.#heads, rowLength, 2]);
    run.dispatch(
      attentionForward,
      { out, stats, q, k: run.operand(k), v: run.operand(v), spans },
      { batch, row_length: rowLength, heads: this.#heads, ...this.#queryParams() },
      { HEAD_DIM4: this.#headDim / 4, ...run.variants.attentionForward },
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
    const batch = q.shape[0]! / rowLength;
    const tile = { HEAD_DIM4: this.#headDim / 4, ...run.variants.attentionBackward };
    const dq = run.tensor("dq", q.shape), dk = run.tensor("dk", k.shape), dv = run.tensor("dv", v.shape);
    run.dispatch(
      attentionBackwardQuery,
      { dq, stats, q, out, dout, k: run.operand(k), v: run.operand(v), spans },
      { batch, row_length: rowLength, heads: this.#heads, ...this.#queryParams() },
      tile,
    );
    run.dispatch(
      attentionBackwardKeyValue,
      { dk, dv, k, v, stats, q: run.operand(q), dout: run.operand(dout), spans },
      {
        batch,
        row_length: rowLength,
        kv_heads: this.#kvHeads,
        group: this.#heads / this.#kvHeads,
        q_cols: this.#heads * this.#headDim,
        dout_cols: this.#heads * this.#headDim,
        scale: this.#scale,
      },
      tile,
    );
    return { dq, dk, dv };
  }

  #queryParams() {
    const kvCols = this.#kvHeads * this.#headDim;
    return { group: this.#heads / this.#kvHeads, k_cols: kvCols, v_cols: kvCols, scale: this.#scale };
  }
}
