/**
 * One block of the decoder. With residual stream x:
 *
 *     h = x + p₁(O·attention(rope(n_q(Q·a)), rope(n_k(K·a)), V·a))      a = n₁(x)
 *     y = h + p₂(D·(g(G·b) · U·b))                                      b = n₂(h)
 *
 * p₁ and p₂ are norms in Gemma, n_q and n_k norms of each head in Qwen 3 and Gemma 3, and nothing elsewhere.
 *
 * Backward is the same lines read from below. To the gradient of the residual stream each norm adds that of its branch.
 *
 * @module
 */
import type { Attention, AttentionSaved } from "../nn/attention.ts";
import type { SpanTensors } from "../nn/attention_spans.ts";
import * as gated from "../nn/gated.ts";
import type { LoraLinearSaved } from "../nn/lora_linear.ts";
import type { Projections } from "../nn/projections.ts";
import type { BranchSaved, ResidualBranch } from "../nn/residual_branch.ts";
import type { RmsNorm, RmsNormSaved } from "../nn/rms_norm.ts";
import { type RopeTables, rotate } from "../nn/rope.ts";
import type { StepRecorder } from "../nn/step_recorder.ts";
import { matrixShape, type Tensor } from "../tensor.ts";
import type { Activation, LayerAttention } from "./config.ts";
import type { Rope } from "./rope.ts";

/** What turns queries and keys: where each token stands, and the angles. */
export interface Turning {
  /** [R] rows of the tables */
  readonly positions: Tensor;
  readonly ropes: ReadonlyMap<Rope, RopeTables>;
}

/** What the blocks of a pass share. */
export interface BlockInputs extends Turning {
  /** [R, 2] by window: the keys that each token sees. */
  readonly spans: SpanTensors;
  /** R = B · rowLength */
  readonly rowLength: number;
}

/** Layers of one block. */
export interface BlockLayers {
  readonly layer: LayerAttention;
  readonly norm1: RmsNorm;
  /** Q, K, V */
  readonly qkv: Projections;
  readonly queryNorm: RmsNorm | null;
  readonly keyNorm: RmsNorm | null;
  readonly attention: Attention;
  /** O and p₁ */
  readonly o: ResidualBranch;
  readonly norm2: RmsNorm;
  /** G, U */
  readonly gateUp: Projections;
  readonly activation: Activation;
  /** D and p₂ */
  readonly down: ResidualBranch;
}

interface QkvSaved {
  readonly norm1: RmsNormSaved;
  readonly qkv: readonly LoraLinearSaved[];
  readonly queryNorm: RmsNormSaved | null;
  readonly keyNorm: RmsNormSaved | null;
}

/** Queries [R, H·D] and keys [R, G·D], normed and turned, and values [R, G·D]. */
interface Qkv {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly saved: QkvSaved;
}

interface GatedUpSaved {
  readonly norm2: RmsNormSaved;
  readonly gateUp: readonly LoraLinearSaved[];
  readonly gated: gated.GatedSaved;
}

/** What a block keeps for its backward. */
export interface BlockSaved extends QkvSaved, GatedUpSaved {
  readonly attention: AttentionSaved;
  readonly o: BranchSaved;
  readonly down: BranchSaved;
}

export class DecoderBlock {
  readonly #layers: BlockLayers;

  constructor(layers: BlockLayers) {
    this.#layers = layers;
  }

  /** How it attends. */
  get layer(): LayerAttention {
    return this.#layers.layer;
  }

  /** y [R, C] and what backward needs. */
  forward(run: StepRecorder, x: Tensor, inputs: BlockInputs): { y: Tensor; saved: BlockSaved } {
    const { h, b, saved } = this.#upToGate(run, x, inputs);
    const down = this.#layers.down.forward(run, b, h);
    return { y: down.y, saved: { ...saved, down: down.saved } };
  }

  /** What backward needs, from the block's input: all of forward but the last sum. */
  recompute(run: StepRecorder, x: Tensor, inputs: BlockInputs): BlockSaved {
    const { b, saved } = this.#upToGate(run, x, inputs);
    return { ...saved, down: this.#layers.down.recompute(run, b) };
  }

  /** Queries and keys, normed and turned, and values. */
  qkv(run: StepRecorder, x: Tensor, { positions, ropes }: Turning): Qkv {
    const { layer, norm1, qkv, queryNorm, keyNorm, attention: { headDim } } = this.#layers;
    const a = norm1.forward(run, x);
    const { parts, saved } = qkv.forward(run, a.y);
    const [plainQ, plainK, v] = parts as [Tensor, Tensor, Tensor];
    const normedQ = queryNorm?.forward(run, plainQ), normedK = keyNorm?.forward(run, plainK);
    const straight = { q: normedQ?.y ?? plainQ, k: normedK?.y ?? plainK };
    const { q, k } = rotate(run, straight, ropes.get(layer.rope)!, { positions, headDim, direction: 1 });
    return {
      q,
      k,
      v,
      saved: {
        norm1: a.saved,
        qkv: saved,
        queryNorm: normedQ?.saved ?? null,
        keyNorm: normedK?.saved ?? null,
      },
    };
  }

  /** The rest of the block, after attention: y [R, C] from what it gave and the block's input. */
  afterAttention(run: StepRecorder, attended: Tensor, x: Tensor): Tensor {
    const h = this.#layers.o.forward(run, attended, x).y;
    return this.#layers.down.forward(run, this.#gatedUp(run, h).y, h).y;
  }

  #upToGate(run: StepRecorder, x: Tensor, inputs: BlockInputs) {
    const { saved: projected, ...qkv } = this.qkv(run, x, inputs);
    const spans = inputs.spans.get(this.layer.window)!;
    const attention = this.#layers.attention.forward(run, qkv, spans, inputs.rowLength);
    const o = this.#layers.o.forward(run, attention.y, x);
    const b = this.#gatedUp(run, o.y);
    const saved = { ...projected, attention: attention.saved, o: o.saved, ...b.saved };
    return { h: o.y, b: b.y, saved };
  }

  /** g(G·b) · U·b */
  #gatedUp(run: StepRecorder, h: Tensor): { y: Tensor; saved: GatedUpSaved } {
    const { norm2, gateUp, activation } = this.#layers;
    const b = norm2.forward(run, h);
    const { parts, saved } = gateUp.forward(run, b.y);
    const [gate, up] = parts as [Tensor, Tensor];
    const activated = gated.forward(run, gate, up, activation);
    return { y: activated.y, saved: { norm2: b.saved, gateUp: saved, gated: activated.saved } };
  }

  /** Gradient of the block's input for dy [R, C]; null, and no work for it, where nobody needs it. */
  backward(
    run: StepRecorder,
    dy: Tensor,
    saved: BlockSaved,
    inputs: BlockInputs,
    belowNeeded: boolean,
  ): Tensor | null {
    const dh = this.#gatedUpBackward(run, dy, saved);
    const { attention, o } = this.#layers;
    const dattended = run.tensor("dattention", saved.attention.out.shape);
    o.backward(run, dh, saved.o, dattended);
    const spans = inputs.spans.get(this.layer.window)!;
    const grads = attention.backward(run, dattended, saved.attention, spans, inputs.rowLength);
    return this.#qkvBackward(run, grads, saved, inputs, belowNeeded ? dh : null);
  }

  /** dh for dy. */
  #gatedUpBackward(run: StepRecorder, dy: Tensor, saved: BlockSaved): Tensor {
    const { norm2, gateUp, down } = this.#layers;
    const dgated = run.tensor("dgated", saved.gated.gate.shape);
    down.backward(run, dy, saved.down, dgated);
    const { dgate, dup } = gated.backward(run, dgated, saved.gated);
    const db = run.tensor("dnorm2", dy.shape);
    gateUp.backward(run, [dgate, dup], saved.gateUp, db);
    return norm2.backward(run, db, saved.norm2, dy);
  }

  /** dx for the gradients of turned queries, keys and of values; null where dh is. */
  #qkvBackward(
    run: StepRecorder,
    { dq, dk, dv }: { dq: Tensor; dk: Tensor; dv: Tensor },
    saved: QkvSaved,
    { positions, ropes }: Turning,
    dh: Tensor | null,
  ): Tensor | null {
    const { layer, norm1, qkv, queryNorm, keyNorm, attention: { headDim } } = this.#layers;
    const at = { positions, headDim, direction: -1 } as const;
    const { q, k } = rotate(run, { q: dq, k: dk }, ropes.get(layer.rope)!, at);
    const plainQ = queryNorm?.backward(run, q, saved.queryNorm!, null) ?? q;
    const plainK = keyNorm?.backward(run, k, saved.keyNorm!, null) ?? k;
    const { rows, cols } = matrixShape(saved.norm1.x);
    const da = dh && run.tensor("dnorm1", [rows, cols]);
    qkv.backward(run, [plainQ, plainK, dv], saved.qkv, da);
    return da && norm1.backward(run, da, saved.norm1, dh);
  }
}
