/**
 * A Llama decoder with LoRA in f64, forward and backward, composed of the kernels' references: slow, obvious, and the
 * measure of the one on the GPU.
 *
 * @module
 */
import * as attention from "../../kernels/attention/reference.ts";
import { crossEntropy } from "../../kernels/cross_entropy/reference.ts";
import { embeddingForward } from "../../kernels/embedding/reference.ts";
import { gatedBackward, gatedForward } from "../../kernels/gated/reference.ts";
import { matmulBackwardFactor, matmulBackwardInput, matmulForward } from "../../kernels/matmul/reference.ts";
import { rmsNormBackward, rmsNormForward } from "../../kernels/rms_norm/reference.ts";
import { ropeRotate } from "../../kernels/rope/reference.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { ModelBatch } from "../../src/models/trainable_model.ts";
import { normPaths } from "../../src/models/family.ts";
import { MODEL_FAMILIES } from "../../src/models/registry.ts";
import { ropeTables } from "../../src/models/rope.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { rowPositions } from "../../src/nn/rope.ts";
import { wide } from "./gradient.ts";

type Values = Float64Array;

/** Base weights by tensor name, factors by `PATH A` and `PATH B`; paths without factors are frozen. */
export interface ReferenceWeights {
  readonly base: ReadonlyMap<string, Float32Array>;
  readonly factors: ReadonlyMap<string, Float32Array>;
  readonly rank: number;
  readonly scaling: number;
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
  { base, factors, rank, scaling }: ReferenceWeights,
  batch: ModelBatch,
  tokenWeight: number,
): { loss: number; grads: Map<string, Values> } {
  const family = MODEL_FAMILIES.get(config.modelType)!;
  const { hiddenSize: C, intermediateSize: F, vocabSize: V, headDim: D, rmsNormEps: eps } = config;
  const { numAttentionHeads: H, numKeyValueHeads: G } = config;
  const rows = batch.rows * batch.length;
  const grads = new Map<string, Values>();
  const weight = (path: string) => wide(base.get(`${path}.weight`)!);
  const lowOf = (path: string) => {
    const a = factors.get(`${path} A`), b = factors.get(`${path} B`);
    return a && b ? { a: wide(a), b: wide(b), rank, scaling } : null;
  };
  const linear = (path: string, x: Values, cols: number, inner: number) => {
    const sizes = { rows, cols, inner }, w = weight(path), low = lowOf(path);
    const backward = (dy: Values) => {
      const { dx, da, db } = loraBackward(dy, x, w, sizes, low);
      if (da) grads.set(`${path} A`, da);
      if (db) grads.set(`${path} B`, db);
      return dx;
    };
    return { y: loraForward(x, w, sizes, low), backward };
  };
  const norm = (path: string, x: Values) => {
    const w = weight(path), { y, rstd } = rmsNormForward(x, w, eps);
    return { y, backward: (dy: Values) => rmsNormBackward(dy, x, w, rstd) };
  };
  const tables = ropeTables(config.layers[0]!.rope, batch.length);
  const rotate = (x: Values, heads: number, direction: 1 | -1) =>
    ropeRotate(x, wide(tables.cos), wide(tables.sin), {
      positions: rowPositions(batch.rows, batch.length, batch.documents),
      heads,
      headDim: D,
      direction,
    });
  const shape = {
    batch: batch.rows,
    rowLength: batch.length,
    heads: H,
    kvHeads: G,
    headDim: D,
    scale: D ** -0.5,
    spans: attentionSpans({ ...batch, rowLength: batch.length }),
  };
  let x = embeddingForward(weight(family.embedding), batch.inputIds, C);
  const blocks = Array.from({ length: config.numHiddenLayers }, (_, layer) => {
    const [pq, pk, pv, po, pg, pu, pd] = family.linears.map(({ path }) => `${family.layer(layer)}.${path}`);
    const [p1, p2] = normPaths(family).map((path) => `${family.layer(layer)}.${path}`);
    const n1 = norm(p1!, x);
    const q = linear(pq!, n1.y, H * D, C), k = linear(pk!, n1.y, G * D, C), v = linear(pv!, n1.y, G * D, C);
    const rq = rotate(q.y, H, 1), rk = rotate(k.y, G, 1);
    const o = linear(po!, attention.attentionForward(rq, rk, v.y, shape), C, H * D);
    const h = plus(x, o.y);
    const n2 = norm(p2!, h);
    const gate = linear(pg!, n2.y, F, C), up = linear(pu!, n2.y, F, C);
    const down = linear(pd!, gatedForward(gate.y, up.y), C, F);
    x = plus(h, down.y);
    return (dx: Values): Values => {
      const { dgate, dup } = gatedBackward(gate.y, up.y, down.backward(dx));
      const dh = plus(dx, n2.backward(plus(gate.backward(dgate), up.backward(dup))));
      const { dq, dk, dv } = attention.attentionBackward(rq, rk, v.y, o.backward(dh), shape);
      const dn1 = plus(
        plus(q.backward(rotate(dq, H, -1)), k.backward(rotate(dk, G, -1))),
        v.backward(dv),
      );
      return plus(dh, n1.backward(dn1));
    };
  });
  const final = norm(family.finalNorm, x);
  const head = config.tieWordEmbeddings ? weight(family.embedding) : weight(family.head);
  const logits = matmulForward(final.y, head, { rows, cols: V, inner: C });
  const { loss, dlogits } = crossEntropy(logits, [...batch.targets], V, tokenWeight);
  let dx = final.backward(matmulBackwardInput(dlogits, head, { rows, cols: C, inner: V }));
  for (const backward of blocks.toReversed()) dx = backward(dx);
  return { loss, grads };
}
