import {
  attentionBackwardKeyValue,
  attentionBackwardQuery,
  attentionForward,
  type AttentionTile,
} from "../../kernels/attention/kernel.ts";
import * as reference from "../../kernels/attention/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { attentionSpans, type SpanLayout } from "../../src/nn/attention_spans.ts";
import { type AttentionPass, attentionTile } from "../../src/nn/attention_tile.ts";
import { VARIANTS, type Variants } from "../../src/nn/variants.ts";
import type { Tensor } from "../../src/tensor.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

/** Heads, what they see, and how they score. */
interface Sizes extends SpanLayout {
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly softcap?: number;
  /** Largest query and key; default 1. */
  readonly largest?: number;
}
/** How the work is divided. */
interface Division {
  readonly source: OperandSource;
  readonly forward: Lanes;
  readonly backwardQuery: Lanes;
  readonly backwardKeyValue: Lanes;
}
type Lanes =
  & Omit<AttentionTile, "HEAD_DIM4" | "SOFTCAP">
  & Record<"LANES" | "ROWS" | "KEYS" | "STAGED" | "SPLIT", number>;

const everywhere = (source: OperandSource, lanes: Lanes): Division => ({
  source,
  forward: lanes,
  backwardQuery: lanes,
  backwardKeyValue: lanes,
});
const ONE_ROW: Lanes = { LANES: 8, ROWS: 1, KEYS: 1, STAGED: 0, SPLIT: 1 };
const TWO_ROWS: Lanes = { LANES: 8, ROWS: 2, KEYS: 2, STAGED: 0, SPLIT: 1 };
/** Several workgroups, blocks that nothing divides, lanes that share rows. */
const STAGED: Lanes = { LANES: 16, ROWS: 1, KEYS: 3, STAGED: 1, SPLIT: 2 };

/** Grouped heads, ragged lengths, a filler row, and a row length that no block divides. */
const RAGGED: Sizes = { rowLength: 37, heads: 6, kvHeads: 2, headDim: 8, lengths: [37, 19, 0, 1] };
/** One token of one head of the least width. */
const LEAST: Sizes = { rowLength: 1, heads: 1, kvHeads: 1, headDim: 4, lengths: [1] };
const WINDOW: Sizes = { ...RAGGED, lengths: [37, 20], window: 5 };
const PACKED: Sizes = { ...RAGGED, lengths: [37, 20], documents: [[1, 23, 2, 11], [7, 13]] };
const CAPPED: Sizes = { ...WINDOW, kvHeads: 6, documents: [[30, 7], [20]], softcap: 1.5 };

const shapeOf = (sizes: Sizes): reference.AttentionShape => ({
  ...sizes,
  batch: sizes.lengths.length,
  scale: sizes.headDim ** -0.5,
  spans: attentionSpans(sizes),
});

type Inputs = Readonly<Record<"q" | "k" | "v" | "dout", Float32Array<ArrayBuffer>>>;

function inputs({ lengths, rowLength, heads, kvHeads, headDim, largest: scale = 1 }: Sizes): Inputs {
  const tokens = lengths.length * rowLength,
    queries = tokens * heads * headDim,
    keys = tokens * kvHeads * headDim;
  return {
    q: ramp(queries, { scale }),
    k: ramp(keys, { phase: 1, scale }),
    v: ramp(keys, { phase: 2 }),
    dout: ramp(queries, { phase: 3 }),
  };
}

/** Records forward and backward; the outputs hold the sentinel before. */
function record(
  run: TestProgram,
  sizes: Sizes,
  division: Division,
  { q, k, v, dout }: Inputs = inputs(sizes),
) {
  const { heads, kvHeads, headDim, rowLength, softcap = 0 } = sizes;
  const { batch, scale, spans: seen } = shapeOf(sizes);
  const tokens = batch * rowLength, width = heads * headDim, kvWidth = kvHeads * headDim;
  const operand = (of: Tensor) => {
    const source = division.source === "vec4" && of.shape[1]! % 4 !== 0 ? "scalar" : division.source;
    return run.operand(of, source);
  };
  const spans = run.holding(seen as Uint32Array<ArrayBuffer>, [tokens, 2]);
  const out = run.output([tokens, width], "out"), stats = run.output([batch * heads, 2 * rowLength], "stats");
  const dq = run.output([tokens, width], "dq");
  const dk = run.output([tokens, kvWidth], "dk"), dv = run.output([tokens, kvWidth], "dv");
  const queries = { q: operand(run.holding(q, [tokens, width])) };
  const keys = {
    k: operand(run.holding(k, [tokens, kvWidth])),
    v: operand(run.holding(v, [tokens, kvWidth])),
  };
  const gradient = { dout: operand(run.holding(dout, [tokens, width])) };
  const shared = { batch, row_length: rowLength, group: heads / kvHeads, scale, softcap };
  const cols = { q_cols: width, k_cols: kvWidth, v_cols: kvWidth };
  const backCols = { ...cols, out_cols: width, dout_cols: width };
  const tile = (lanes: Lanes) => ({ ...lanes, HEAD_DIM4: headDim / 4, SOFTCAP: softcap > 0 ? 1 : 0 });
  const r = run.recorder;
  r.dispatch(
    attentionForward,
    { out, stats, ...queries, ...keys, spans },
    { ...shared, ...cols, heads },
    tile(division.forward),
  );
  r.dispatch(
    attentionBackwardQuery,
    { dq, stats, ...queries, out: operand(out), ...gradient, ...keys, spans },
    { ...shared, ...backCols, heads },
    tile(division.backwardQuery),
  );
  r.dispatch(
    attentionBackwardKeyValue,
    { dk, dv, ...keys, stats: operand(stats), ...queries, ...gradient, spans },
    { ...shared, ...cols, dout_cols: width, kv_heads: kvHeads, stats_cols: 2 * rowLength },
    tile(division.backwardKeyValue),
  );
  return { out, dq, dk, dv };
}

async function check(adapter: TestAdapter, sizes: Sizes, division: Division) {
  const saturated = (sizes.largest ?? 1) > 1 || sizes.window === 1;
  using run = new TestProgram(adapter);
  const { out, dq, dk, dv } = record(run, sizes, division);
  await run.run();
  const shape = shapeOf(sizes), { q, k, v, dout } = inputs(sizes);
  const want = reference.attentionBackward(wide(q), wide(k), wide(v), wide(dout), shape);
  const tolerance = arithmetic("f32", "f32", sizes.rowLength * sizes.heads + sizes.headDim);
  assertClose(await run.read(out), reference.attentionForward(wide(q), wide(k), wide(v), shape), tolerance);
  // where one key has all the weight dq and dk are far below rounding: errors count on the scale of dout
  const scaled = (values: ArrayLike<number>) => saturated ? [...Array.from(values), 1] : values;
  assertClose(scaled(await run.read(dq)), scaled(want.dq), tolerance);
  assertClose(scaled(await run.read(dk)), scaled(want.dk), tolerance);
  assertClose(await run.read(dv), want.dv, tolerance);
}

for (
  const [name, sizes] of Object.entries({
    "padding and filler rows": { lengths: [5, 3, 0] },
    "a window": { lengths: [5, 4], window: 2 },
    "packed documents": { lengths: [5, 4], documents: [[1, 3, 1], [4]] },
    "capped scores": { lengths: [5, 4], window: 3, softcap: 0.7 },
  })
) {
  Deno.test(`the attention reference's backward agrees with central differences, with ${name}`, () => {
    const whole: Sizes = { rowLength: 5, heads: 4, kvHeads: 2, headDim: 4, ...sizes };
    const shape = shapeOf(whole), { q, k, v, dout } = inputs(whole);
    const [wq, wk, wv] = [wide(q), wide(k), wide(v)];
    const loss = (q: Float64Array, k: Float64Array, v: Float64Array) =>
      dot(dout, reference.attentionForward(q, k, v, shape));
    const { dq, dk, dv } = reference.attentionBackward(wq, wk, wv, wide(dout), shape);
    assertGradient((q) => loss(q, wk, wv), wq, dq);
    assertGradient((k) => loss(wq, k, wv), wk, dk);
    assertGradient((v) => loss(wq, wk, v), wv, dv);
  });
}

for (const source of ["texture", "vec4", "scalar"] as const) {
  onEachCompiler(`attention matches the f64 reference from ${source}`, async (adapter) => {
    await check(adapter, LEAST, everywhere(source, ONE_ROW));
    await check(adapter, RAGGED, everywhere(source, ONE_ROW));
  });
}

for (
  const [name, lanes] of Object.entries({ "lanes that own two rows": TWO_ROWS, "workgroup memory": STAGED })
) {
  onEachCompiler(`attention sees windows, documents and capped scores by ${name}`, async (adapter) => {
    for (const window of [1, 5, 37, 38]) {
      await check(adapter, { ...WINDOW, window }, everywhere("vec4", lanes));
    }
    await check(adapter, PACKED, everywhere("vec4", lanes));
    await check(adapter, { ...PACKED, window: 6 }, everywhere("vec4", lanes));
    await check(adapter, CAPPED, everywhere("vec4", lanes));
  });

  onEachCompiler(
    `attention stays finite and right where scores are in the thousands, by ${name}`,
    async (adapter) => {
      const one = { ...lanes, SPLIT: 1 }, few = { ...LEAST, rowLength: 13, lengths: [11], largest: 60 };
      await check(adapter, few, everywhere("vec4", one));
      await check(adapter, { ...few, softcap: 20 }, everywhere("vec4", one));
    },
  );
}

/** The division that a variant chooses. */
function divisionOf(
  { operands, attention }: Pick<Variants, "operands" | "attention">,
  { headDim, softcap = 0 }: Sizes,
): Division {
  const lanes = (pass: AttentionPass) =>
    attentionTile(attention, pass, { headDim, softcap }) as unknown as Lanes;
  return {
    source: operands === "texture" ? "texture" : "vec4",
    forward: lanes("forward"),
    backwardQuery: lanes("backwardQuery"),
    backwardKeyValue: lanes("backwardKeyValue"),
  };
}

// several variants divide attention alike
for (const [attention, name] of new Map(Object.entries(VARIANTS).map(([name, of]) => [of.attention, name]))) {
  const { operands } = VARIANTS[name as keyof typeof VARIANTS];
  onEachCompiler(`attention matches the f64 reference in blocks of the ${name} variant`, async (adapter) => {
    const sizes = { ...PACKED, rowLength: 67, lengths: [67, 65], documents: [[3, 64], [65]] };
    await check(adapter, sizes, divisionOf({ operands, attention }, sizes));
  });
}

for (const name of ["software", "hardware"] as const) {
  onEachCompiler(
    `attention matches the f64 reference for heads 80 wide, ${name} variant`,
    async (adapter) => {
      const sizes: Sizes = { rowLength: 19, lengths: [19], heads: 3, kvHeads: 1, headDim: 80, window: 11 };
      await check(adapter, sizes, divisionOf(VARIANTS[name], sizes));
    },
  );
}

onEachCompiler("packed documents give what each gives alone", async (adapter) => {
  const packed: Sizes = { ...PACKED, rowLength: 37, lengths: [37], documents: [[5, 21, 11]] };
  const width = packed.heads * packed.headDim, kvWidth = packed.kvHeads * packed.headDim;
  for (const lanes of [TWO_ROWS, STAGED]) {
    using together = new TestProgram(adapter);
    const whole = record(together, packed, everywhere("vec4", lanes));
    await together.run();
    const { q, k, v, dout } = inputs(packed);
    let start = 0;
    for (const length of packed.documents![0]!) {
      using alone = new TestProgram(adapter);
      const sizes = { ...packed, rowLength: length, lengths: [length], documents: undefined };
      const part = record(alone, sizes, everywhere("vec4", lanes), {
        q: q.slice(start * width, (start + length) * width),
        k: k.slice(start * kvWidth, (start + length) * kvWidth),
        v: v.slice(start * kvWidth, (start + length) * kvWidth),
        dout: dout.slice(start * width, (start + length) * width),
      });
      await alone.run();
      for (const name of ["out", "dq", "dk", "dv"] as const) {
        const cols = whole[name].shape[1]!;
        const rows = (await together.read(whole[name])).slice(start * cols, (start + length) * cols);
        assertClose(rows, await alone.read(part[name]), arithmetic("f32", "f32", 1));
      }
      start += length;
    }
  }
});
