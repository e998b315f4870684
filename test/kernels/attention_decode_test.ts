import { attentionDecode, NO_PLACE } from "../../kernels/attention_decode/kernel.ts";
import * as reference from "../../kernels/attention_decode/reference.ts";
import * as trained from "../../kernels/attention/reference.ts";
import { attentionSpans } from "../../src/nn/attention_spans.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

interface Sizes extends reference.CacheShape {
  readonly rows: number;
  /** −1 for a query without a place. */
  readonly places: readonly number[];
}

function inputs({ rows, rowLength, heads, kvHeads, headDim, places }: Sizes, scoreScale = 1) {
  const kept = rows * rowLength * kvHeads * headDim;
  return {
    q: ramp(places.length * heads * headDim, { scale: scoreScale }),
    k: ramp(kept, { phase: 1 }),
    v: ramp(kept, { phase: 2 }),
  };
}

async function check(adapter: TestAdapter, sizes: Sizes, lanes: number, scoreScale?: number) {
  const { heads, kvHeads, headDim, rowLength, scale, window = rowLength, softcap = 0, places } = sizes;
  const { q, k, v } = inputs(sizes, scoreScale);
  using run = new TestProgram(adapter);
  const out = run.output([places.length, heads * headDim]);
  const bound = {
    out,
    q: run.holding(q),
    k: run.holding(k),
    v: run.holding(v),
    places: run.holding(Uint32Array.from(places, (place) => place < 0 ? NO_PLACE : place)),
  };
  const params = {
    queries: places.length,
    heads,
    group: heads / kvHeads,
    row_length: rowLength,
    window,
    scale,
    softcap,
  };
  run.recorder.dispatch(attentionDecode, bound, params, {
    HEAD_DIM4: headDim / 4,
    WORKGROUP_SIZE: lanes,
    SOFTCAP: softcap > 0 ? 1 : 0,
  });
  await run.run();
  const want = reference.attentionDecode(wide(q), wide(k), wide(v), places, sizes);
  assertClose(await run.read(out), want, arithmetic("f32", "f32", rowLength + headDim));
}

const GROUPED = { rows: 3, heads: 6, kvHeads: 2, headDim: 12, rowLength: 37, scale: 0.3 };
/** First place, last place, a filler, two queries of one row, the middle. */
const PLACES = [0, 36, -1, 2 * 37 + 5, 2 * 37 + 36, 37 + 17, -1];

Deno.test("the reference over a cache agrees with that of whole rows", () => {
  const rows = 2, rowLength = 5, shape = { heads: 4, kvHeads: 2, headDim: 4, rowLength, scale: 0.5 };
  const places = Array.from({ length: rows * rowLength }, (_, i) => i);
  const { q, k, v } = inputs({ ...shape, rows, places });
  for (const how of [{}, { window: 3, softcap: 0.6 }]) {
    const spans = attentionSpans({ lengths: [rowLength, rowLength], rowLength, ...how });
    assertClose(
      reference.attentionDecode(wide(q), wide(k), wide(v), places, { ...shape, ...how }),
      trained.attentionForward(wide(q), wide(k), wide(v), { ...shape, ...how, batch: rows, spans }),
      arithmetic("f32", "f32", 1),
    );
  }
});

for (const lanes of [8, 16, 64]) {
  onEachCompiler(`attention over a cache matches the f64 reference with ${lanes} lanes`, async (adapter) => {
    await check(adapter, { ...GROUPED, places: PLACES }, lanes);
    await check(
      adapter,
      { rows: 1, heads: 1, kvHeads: 1, headDim: 4, rowLength: 1, scale: 1, places: [0] },
      lanes,
    );
  });
}

onEachCompiler("attention over a cache lets a lane own several columns of a wide head", async (adapter) => {
  const sizes = { rows: 1, heads: 2, kvHeads: 1, headDim: 132, rowLength: 19, scale: 0.1, places: [18, 7] };
  await check(adapter, sizes, 16);
});

onEachCompiler("attention over a cache stays finite where scores are in the thousands", async (adapter) => {
  await check(adapter, { ...GROUPED, places: PLACES }, 8, 2000);
});

onEachCompiler("attention over a cache sees the last keys of a window and caps scores", async (adapter) => {
  for (const window of [1, 5, 36, 37]) await check(adapter, { ...GROUPED, places: PLACES, window }, 8);
  await check(adapter, { ...GROUPED, places: PLACES, window: 20, softcap: 1.5 }, 16, 4);
});

onEachCompiler("attention over a cache never looks behind the query's own place", async (adapter) => {
  const { heads, kvHeads, headDim, rowLength, scale, rows } = GROUPED;
  const { q, k, v } = inputs({ ...GROUPED, places: [rowLength + 3] });
  const results: Float32Array[] = [];
  for (const spoilt of [false, true]) {
    const width = kvHeads * headDim, seen = (rowLength + 4) * width;
    const keys = k.slice(), values = v.slice();
    // what an earlier, longer conversation may have left, and another row
    if (spoilt) { for (const kept of [keys, values]) kept.fill(NaN, seen).fill(NaN, 0, rowLength * width); }
    using run = new TestProgram(adapter);
    const out = run.output([1, heads * headDim]);
    const bound = {
      out,
      q: run.holding(q),
      k: run.holding(keys, [rows * rowLength, width]),
      v: run.holding(values, [rows * rowLength, width]),
      places: run.holding(Uint32Array.of(rowLength + 3)),
    };
    const params = {
      queries: 1,
      heads,
      group: heads / kvHeads,
      row_length: rowLength,
      window: rowLength,
      scale,
      softcap: 0,
    };
    const constants = { HEAD_DIM4: headDim / 4, WORKGROUP_SIZE: 16, SOFTCAP: 0 };
    run.recorder.dispatch(attentionDecode, bound, params, constants);
    await run.run();
    results.push(await run.read(out));
  }
  assertClose(results[1]!, results[0]!, exact());
});
