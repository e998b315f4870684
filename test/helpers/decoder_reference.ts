/**
 * The decoder of every family with LoRA in f64, forward and backward, composed of the kernels' references: slow, obvious,
 * and the measure of the one on the GPU.
 *
 * @module
 */
import * as attention from "../../kernels/attention/reference.ts";
import { takeColumns } from "../../kernels/columns/reference.ts";
import { crossEntropy } from "../../kernels/cross_entropy/reference.ts";
import { embeddingForward } from "../../kernels/embedding/reference.ts";
import { gatedBackward, gatedForward } from "../../kernels/gated/reference.ts";
import { matmulBackwardFactor, matmulBackwardInput, matmulForward } from "../../kernels/matmul/reference.ts";
import { rmsNormBackward, rmsNormForward } from "../../kernels/rms_norm/reference.ts";
import { ropeRotate } from "../../kernels/rope/reference.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { LoraTarget } from "../../src/models/lora_spec.ts";
import type { ModelBatch } from "../../src/models/trainable_model.ts";
import { type LinearPart, linearShape, partWidths } from "../../src/models/family.ts";
import { MODEL_FAMILIES } from "../../src/models/registry.ts";
import { type Rope, ropeTables } from "../../src/models/rope.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { rowPositions } from "../../src/nn/rope.ts";
import { wide } from "./gradient.ts";

type Values = Float64Array;

/** Base weights by tensor name, factors by `PATH A` and `PATH B`; paths without factors are frozen. */
export interface ReferenceWeights {
  readonly base: ReadonlyMap<string, Float32Array>;
  readonly factors: ReadonlyMap<string, Float32Array>;
  /** By path of the map. */
  readonly targets: ReadonlyMap<string, LoraTarget>;
}

export const plus = (a: Values, b: Values): Values => a.map((value, i) => value + b[i]!);

/** A linear map with its update and what its backward needs. */
export function loraForward(
  x: Values,
  w: Values,
  { rows, cols, inner }: { rows: number; cols: number; inner: number },
  low: { a: Values; b: Values; rank: number; scaling: number } | null,
): Values {
  const y = matmulForward(x, w, { rows, cols, inner });
  if (!low) return y;
  const u = matmulForward(x, low.a, { rows, cols: low.rank, inner, scale: low.scaling });
  return plus(y, matmulForward(u, low.b, { rows, cols, inner: low.rank }));
}

/** dx, dA and dB of {@link loraForward}. */
export function loraBackward(
  dy: Values,
  x: Values,
  w: Values,
  { rows, cols, inner }: { rows: number; cols: number; inner: number },
  low: { a: Values; b: Values; rank: number; scaling: number } | null,
): { dx: Values; da: Values | null; db: Values | null } {
  const dx = matmulBackwardInput(dy, w, { rows, cols: inner, inner: cols });
  if (!low) return { dx, da: null, db: null };
  const { a, b, rank, scaling } = low;
  const u = matmulForward(x, a, { rows, cols: rank, inner, scale: scaling });
  const v = matmulBackwardInput(dy, b, { rows, cols: rank, inner: cols }).map((value) => scaling * value);
  return {
    dx: plus(dx, matmulBackwardInput(v, a, { rows, cols: inner, inner: rank })),
    da: matmulBackwardFactor(v, x, { rows, leftCols: rank, rightCols: inner }),
    db: matmulBackwardFactor(dy, u, { rows, leftCols: cols, rightCols: rank }),
  };
}

/** Summed loss of a batch, and gradients of the factors with each token weighted by `tokenWeight`. */
export function decoderReference(
  config: ModelConfig,
  { base, factors, targets }: ReferenceWeights,
  batch: ModelBatch,
  tokenWeight: number,
): { loss: number; grads: Map<string, Values> } {
  const family = MODEL_FAMILIES.get(config.modelType)!;
  const { hiddenSize: C, vocabSize: V, headDim: D, rmsNormEps: eps, activation } = config;
  const { numAttentionHeads: H, numKeyValueHeads: G } = config;
  const rows = batch.rows * batch.length;
  const grads = new Map<string, Values>();
  const weight = (path: string) => wide(base.get(`${path}.weight`)!);
  const lowOf = (path: string) => {
    const a = factors.get(`${path} A`), b = factors.get(`${path} B`);
    return a && b ? { a: wide(a), b: wide(b), ...targets.get(path)! } : null;
  };
  /** The parts of a layer's maps of one input, and what their gradients give. */
  const maps = (layer: number, x: Values, ...parts: LinearPart[]) => {
    const made = family.linears.filter((map) => parts.includes(map.parts[0]!)).map((map) => {
      const path = `${family.layer(layer)}.${map.path}`, [cols, inner] = linearShape(map, config);
      const sizes = { rows, cols, inner }, w = weight(path), low = lowOf(path);
      const plain = loraForward(x, w, sizes, low), bias = base.get(`${path}.bias`);
      const y = bias ? plain.map((value, i) => value + bias[i % cols]!) : plain;
      const backward = (dy: Values) => {
        const { dx, da, db } = loraBackward(dy, x, w, sizes, low);
        if (da) grads.set(`${path} A`, da);
        if (db) grads.set(`${path} B`, db);
        return dx;
      };
      return { y, cols, widths: partWidths(map.parts, config), backward };
    });
    return {
      ys: made.flatMap(({ y, cols, widths }) =>
        widths.map((width, i) => takeColumns(y, cols, sumOf(widths.slice(0, i)), width))
      ),
      backward: (...dys: Values[]) =>
        made.map(({ widths, backward }) => backward(sideBySide(dys.splice(0, widths.length), widths, rows)))
          .reduce(plus),
    };
  };
  /** Nothing where the family has no such norm. */
  const norm = (path: string | null, x: Values) => {
    if (path === null) return { y: x, backward: (dy: Values) => dy };
    const w = weight(path), { y, rstd } = rmsNormForward(x, w, eps, family.normOffset);
    return { y, backward: (dy: Values) => rmsNormBackward(dy, x, w, rstd, family.normOffset) };
  };
  const positions = rowPositions(batch.rows, batch.length, batch.documents);
  const rotate = (rope: Rope, x: Values, heads: number, direction: 1 | -1) => {
    const { cos, sin } = ropeTables(rope, batch.length), pairs = rope.rotaryDim / 2;
    return ropeRotate(x, wide(cos), wide(sin), { positions, heads, headDim: D, pairs, direction });
  };
  let x = embeddingForward(weight(family.embedding), batch.inputIds, C, config.embeddingScale);
  const blocks = config.layers.map(({ rope, window }, layer) => {
    const path = (name: string | null) => name === null ? null : `${family.layer(layer)}.${name}`;
    const { norms } = family;
    const shape = {
      batch: batch.rows,
      rowLength: batch.length,
      heads: H,
      kvHeads: G,
      headDim: D,
      scale: config.attentionScale,
      ...(config.attentionSoftcap === null ? {} : { softcap: config.attentionSoftcap }),
      spans: attentionSpans({ ...batch, rowLength: batch.length, window }),
    };
    const a = norm(path(norms.beforeAttention), x);
    const qkv = maps(layer, a.y, "q", "k", "v"), [plainQ, plainK, v] = qkv.ys as [Values, Values, Values];
    const q = norm(path(norms.query), plainQ), k = norm(path(norms.key), plainK);
    const rq = rotate(rope, q.y, H, 1), rk = rotate(rope, k.y, G, 1);
    const o = maps(layer, attention.attentionForward(rq, rk, v, shape), "o");
    const p1 = norm(path(norms.afterAttention), o.ys[0]!), h = plus(x, p1.y);
    const b = norm(path(norms.beforeFeedForward), h);
    const gateUp = maps(layer, b.y, "gate", "up"), [gate, up] = gateUp.ys as [Values, Values];
    const down = maps(layer, gatedForward(gate, up, activation), "down");
    const p2 = norm(path(norms.afterFeedForward), down.ys[0]!);
    x = plus(h, p2.y);
    return (dy: Values): Values => {
      const { dgate, dup } = gatedBackward(gate, up, down.backward(p2.backward(dy)), activation);
      const dh = plus(dy, b.backward(gateUp.backward(dgate, dup)));
      const { dq, dk, dv } = attention.attentionBackward(rq, rk, v, o.backward(p1.backward(dh)), shape);
      const dPlainQ = q.backward(rotate(rope, dq, H, -1)), dPlainK = k.backward(rotate(rope, dk, G, -1));
      return plus(dh, a.backward(qkv.backward(dPlainQ, dPlainK, dv)));
    };
  });
  const final = norm(family.finalNorm, x);
  const head = config.tieWordEmbeddings ? weight(family.embedding) : weight(family.head);
  const logits = matmulForward(final.y, head, { rows, cols: V, inner: C });
  const { loss, dlogits } = crossEntropy(logits, [...batch.targets], V, tokenWeight, config.logitSoftcap);
  let dx = final.backward(matmulBackwardInput(dlogits, head, { rows, cols: C, inner: V }));
  for (const backward of blocks.toReversed()) dx = backward(dx);
  return { loss, grads };
}

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

/** Matrices [rows, width] as one. */
function sideBySide(parts: readonly Values[], widths: readonly number[], rows: number): Values {
  const whole = new Float64Array(rows * sumOf(widths));
  for (let r = 0, at = 0; r < rows; r++) {
    parts.forEach((part, i) => {
      whole.set(part.subarray(r * widths[i]!, (r + 1) * widths[i]!), at);
      at += widths[i]!;
    });
  }
  return whole;
}
