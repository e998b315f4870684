import {
  attentionBackwardKeyValue,
  attentionBackwardQuery,
  attentionForward,
} from "../../kernels/attention/kernel.ts";
import * as reference from "../../kernels/attention/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { VARIANTS } from "../../src/nn/variants.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

interface Lanes {
  readonly ROWS: number;
  readonly LANES: number;
}
interface Setting {
  readonly source: OperandSource;
  readonly forward: Lanes;
  readonly backward: Lanes;
}

/** Grouped heads, ragged lengths, a filler row, and a row length that no block divides. */
const RAGGED = { batch: 4, rowLength: 37, heads: 6, kvHeads: 2, headDim: 8, lengths: [37, 19, 0, 1] };
/** One token of one head of the least width. */
const LEAST = { batch: 1, rowLength: 1, heads: 1, kvHeads: 1, headDim: 4, lengths: [1] };

type Sizes = Omit<reference.AttentionShape, "scale" | "spans"> & { readonly lengths: readonly number[] };

function inputs({ batch, rowLength, heads, kvHeads, headDim }: Sizes, scale = 1) {
  const queries = batch * rowLength * heads * headDim, keys = batch * rowLength * kvHeads * headDim;
  return {
    q: ramp(queries, { scale }),
    k: ramp(keys, { phase: 1, scale }),
    v: ramp(keys, { phase: 2 }),
    dout: ramp(queries, { phase: 3 }),
  };
}

async function check(adapter: TestAdapter, sizes: Sizes, setting: Setting, saturated = false) {
  const { batch, rowLength, heads, kvHeads, headDim, lengths } = sizes;
  const spans = attentionSpans({ lengths, rowLength });
  const shape = { ...sizes, scale: headDim ** -0.5, spans };
  const { q, k, v, dout } = inputs(sizes, saturated ? 60 : 1);
  using run = new TestProgram(adapter);
  const tokens = batch * rowLength, width = heads * headDim, kvWidth = kvHeads * headDim;
  const tensors = {
    q: run.holding(q, [tokens, width]),
    k: run.holding(k, [tokens, kvWidth]),
    v: run.holding(v, [tokens, kvWidth]),
    dout: run.holding(dout, [tokens, width]),
    spans: run.holding(spans, [tokens, 2]),
    out: run.output([tokens, width], "out"),
    stats: run.output([batch, heads, rowLength, 2], "stats"),
    dq: run.output([tokens, width], "dq"),
    dk: run.output([tokens, kvWidth], "dk"),
    dv: run.output([tokens, kvWidth], "dv"),
  };
  const operand = (name: "q" | "k" | "v" | "dout") => run.operand(tensors[name], setting.source);
  const { out, stats, dq, dk, dv } = tensors;
  const shared = { batch, row_length: rowLength, group: heads / kvHeads, scale: shape.scale };
  const query = { ...shared, heads, k_cols: kvWidth, v_cols: kvWidth };
  const keyValue = { ...shared, kv_heads: kvHeads, q_cols: width, dout_cols: width };
  const kv = { k: operand("k"), v: operand("v") };
  const tile = (lanes: Lanes) => ({ HEAD_DIM4: headDim / 4, ...lanes });
  run.recorder.dispatch(
    attentionForward,
    { out, stats, q: tensors.q, ...kv, spans: tensors.spans },
    query,
    tile(setting.forward),
  );
  run.recorder.dispatch(
    attentionBackwardQuery,
    { dq, stats, q: tensors.q, out, dout: tensors.dout, ...kv, spans: tensors.spans },
    query,
    tile(setting.backward),
  );
  run.recorder.dispatch(
    attentionBackwardKeyValue,
    {
      dk,
      dv,
      k: tensors.k,
      v: tensors.v,
      stats,
      q: operand("q"),
      dout: operand("dout"),
      spans: tensors.spans,
    },
    keyValue,
    tile(setting.backward),
  );
  await run.run();
  const [wq, wk, wv, wdout] = [q, k, v, dout].map(wide) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const want = reference.attentionBackward(wq, wk, wv, wdout, shape);
  const tolerance = arithmetic("f32", "f32", rowLength * heads + headDim);
  assertClose(await run.read(out), reference.attentionForward(wq, wk, wv, shape), tolerance);
  // where the softmax is saturated dq and dk are far below rounding: errors count on the scale of dout
  const scaled = (values: ArrayLike<number>) => saturated ? [...Array.from(values), 1] : values;
  assertClose(scaled(await run.read(dq)), scaled(want.dq), tolerance);
  assertClose(scaled(await run.read(dk)), scaled(want.dk), tolerance);
  assertClose(await run.read(dv), want.dv, tolerance);
}

Deno.test("the attention reference's backward agrees with central differences, grouped, ragged and filler rows", () => {
  const sizes = { batch: 3, rowLength: 5, heads: 4, kvHeads: 2, headDim: 4, lengths: [5, 3, 0] };
  const shape = { ...sizes, scale: 0.5, spans: attentionSpans(sizes) };
  const { q, k, v, dout } = inputs(sizes);
  const [wq, wk, wv] = [q, k, v].map(wide) as [Float64Array, Float64Array, Float64Array];
  const loss = (q: Float64Array, k: Float64Array, v: Float64Array) =>
    dot(dout, reference.attentionForward(q, k, v, shape));
  const { dq, dk, dv } = reference.attentionBackward(wq, wk, wv, wide(dout), shape);
  assertGradient((q) => loss(q, wk, wv), wq, dq);
  assertGradient((k) => loss(wq, k, wv), wk, dk);
  assertGradient((v) => loss(wq, wk, v), wv, dv);
});

for (const source of ["texture", "vec4", "scalar"] as const) {
  const small = { ROWS: 1, LANES: 8 };
  onEachCompiler(`attention matches the f64 reference with keys from ${source}`, async (adapter) => {
    await check(adapter, LEAST, { source, forward: small, backward: small });
    await check(adapter, RAGGED, { source, forward: small, backward: small });
  });
}

for (const [name, variants] of Object.entries(VARIANTS)) {
  const source = variants.operands === "texture" ? "texture" : "vec4";
  const setting = {
    source,
    forward: variants.attentionForward,
    backward: variants.attentionBackward,
  } as const;
  onEachCompiler(`attention matches the f64 reference in blocks of the ${name} variant`, async (adapter) => {
    await check(adapter, RAGGED, setting);
    await check(adapter, { ...RAGGED, rowLength: 67, lengths: [67, 64, 65, 3] }, setting);
  });
}

onEachCompiler("attention stays finite and right where scores are in the thousands", async (adapter) => {
  const small = { ROWS: 1, LANES: 8 };
  await check(adapter, { ...LEAST, rowLength: 13, lengths: [11] }, {
    source: "vec4",
    forward: small,
    backward: small,
  }, true);
});
