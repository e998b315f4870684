import assert from "node:assert/strict";
import { embeddingBackward, embeddingForward, rowsById } from "../../kernels/embedding/kernel.ts";
import * as reference from "../../kernels/embedding/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp, SENTINEL } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

const SCALE = 1.5;
/** 11 and more are in no shard. */
const UNKNOWN = 11;
const IDS = Uint32Array.of(0, 10, 4, 4, 3, 7, 8, 10, 9);

for (const source of ["texture", "vec4", "scalar"] as const) {
  onEachCompiler(`embedding copies rows of three shards bit for bit from ${source}`, async (adapter) => {
    for (const cols of source === "vec4" ? [4, 20] : [1, 13, 20]) {
      const table = ramp(11 * cols);
      using run = new TestProgram(adapter);
      const y = run.output([IDS.length, cols]), ids = run.holding(IDS);
      for (const [first, count] of [[0, 4], [4, 4], [8, 3]] as const) {
        const shard = run.holding(table.slice(first * cols, (first + count) * cols), [count, cols]);
        const bound = { y, ids, table: run.operand(shard, source) };
        const params = {
          rows: IDS.length,
          y_cols: cols,
          table_cols: cols,
          first_id: first,
          shard_rows: count,
          vocab: 11,
          scale: 1,
        };
        run.recorder.dispatch(embeddingForward, bound, params);
      }
      await run.run();
      assertClose(await run.read(y), reference.embeddingForward(wide(table), IDS, cols), exact());
    }
  });
}

onEachCompiler("embedding leaves rows alone whose ids another shard holds", async (adapter) => {
  const table = ramp(3 * 4);
  using run = new TestProgram(adapter);
  const y = run.output([4, 4]), ids = run.holding(Uint32Array.of(2, 5, 8, 7));
  const bound = { y, ids, table: run.operand(run.holding(table, [3, 4]), "vec4") };
  run.recorder.dispatch(embeddingForward, bound, {
    rows: 4,
    y_cols: 4,
    table_cols: 4,
    first_id: 5,
    shard_rows: 3,
    vocab: 9,
    scale: 1,
  });
  await run.run();
  const untouched = Array(4).fill(Math.fround(SENTINEL));
  const want = [...untouched, ...table.subarray(0, 4), ...untouched, ...table.subarray(8)];
  assertClose(await run.read(y), want, exact());
});

onEachCompiler("embedding covers more workgroups than one side of a grid", async (adapter) => {
  const rows = 65_537, cols = 260, table = ramp(7 * cols); // 66,561 workgroups
  using run = new TestProgram(adapter);
  const ids = Uint32Array.from({ length: rows }, (_, i) => i % 7);
  const y = run.output([rows, cols]);
  const bound = { y, ids: run.holding(ids), table: run.operand(run.holding(table, [7, cols]), "vec4") };
  run.recorder.dispatch(embeddingForward, bound, {
    rows,
    y_cols: cols,
    table_cols: cols,
    first_id: 0,
    shard_rows: 7,
    vocab: 7,
    scale: 1,
  });
  await run.run();
  const got = await run.read(y), last = rows - 7;
  const want = reference.embeddingForward(wide(table), ids.subarray(last), cols);
  assertClose(got.subarray(last * cols), want, exact());
});

onEachCompiler(
  "embedding scales its rows, and gives zeros for ids that the vocabulary lacks",
  async (adapter) => {
    const cols = 5, table = ramp(11 * cols), ids = Uint32Array.of(3, UNKNOWN, 10, 0xffffffff, 0);
    using run = new TestProgram(adapter);
    const y = run.output([ids.length, cols]), held = run.holding(ids);
    for (const [first, count] of [[0, 8], [8, 3]] as const) {
      const shard = run.holding(table.slice(first * cols, (first + count) * cols), [count, cols]);
      run.recorder.dispatch(embeddingForward, { y, ids: held, table: run.operand(shard, "scalar") }, {
        rows: ids.length,
        y_cols: cols,
        table_cols: cols,
        first_id: first,
        shard_rows: count,
        vocab: 11,
        scale: SCALE,
      });
    }
    await run.run();
    const want = reference.embeddingForward(wide(table), ids, cols, SCALE);
    assertClose(await run.read(y), want, arithmetic("f32", "f32", 1));
  },
);

Deno.test("rowsById() keeps rows of one id together, in their own order, and closes what no id uses", () => {
  const { order, starts } = rowsById(IDS);
  assert.deepEqual([...order], [0, 4, 2, 3, 5, 6, 8, 1, 7]);
  assert.deepEqual([...starts], [0, 1, 2, 4, 5, 6, 7, 9, 9, 9]);
});

Deno.test("the embedding reference's backward agrees with central differences", () => {
  const table = wide(ramp(11 * 3)), dy = wide(ramp(IDS.length * 3, { phase: 1 }));
  assertGradient(
    (table) => dot(dy, reference.embeddingForward(table, IDS, 3, SCALE)),
    table,
    reference.embeddingBackward(dy, IDS, 11, 3, SCALE),
  );
});

onEachCompiler("embedding backward adds rows of like id to what the gradient holds", async (adapter) => {
  for (
    const [ids, cols] of [[IDS, 67], [IDS, 1], [Uint32Array.of(3), 5], [
      Uint32Array.of(UNKNOWN, 2, UNKNOWN),
      3,
    ]] as const
  ) {
    const vocab = 11, dx = ramp(ids.length * cols), before = ramp(vocab * cols, { phase: 1 });
    const { order, starts } = rowsById(ids);
    using run = new TestProgram(adapter);
    const dtable = run.holding(before, [vocab, cols], "dtable");
    const bound = { ids: run.holding(ids), order: run.holding(order), starts: run.holding(starts) };
    run.recorder.dispatch(
      embeddingBackward,
      { dtable, dx: run.holding(dx, [ids.length, cols]), ...bound },
      { segments: ids.length, cols, vocab, scale: SCALE },
    );
    await run.run();
    const want = reference.embeddingBackward(wide(dx), ids, vocab, cols, SCALE);
    assertClose(await run.read(dtable), want.map((sum, i) => sum + before[i]!), arithmetic("f32", "f32", 3));
  }
});
