import { copyColumns, MOST_SUMMED_ROWS, sumColumns } from "../../kernels/columns/kernel.ts";
import * as reference from "../../kernels/columns/reference.ts";
import { add } from "../../kernels/add/kernel.ts";
import * as addReference from "../../kernels/add/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp, SENTINEL } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

onEachCompiler("copying columns takes a matrix apart and puts it together, bit for bit", async (adapter) => {
  const rows = 7, widths = [13, 1, 6], all = 20, x = ramp(rows * all);
  using run = new TestProgram(adapter);
  const whole = run.holding(x, [rows, all]), joined = run.output([rows, all]);
  let first = 0;
  const parts = widths.map((cols) => {
    const part = run.output([rows, cols]), at = { rows, cols };
    const taken = { ...at, y_cols: cols, y_first: 0, x_cols: all, x_first: first };
    run.recorder.dispatch(copyColumns, { y: part, x: whole }, taken);
    const put = { ...at, y_cols: all, y_first: first, x_cols: cols, x_first: 0 };
    run.recorder.dispatch(copyColumns, { y: joined, x: part }, put);
    first += cols;
    return part;
  });
  await run.run();
  first = 0;
  for (const [i, part] of parts.entries()) {
    const want = reference.takeColumns(wide(x), all, first, widths[i]!);
    assertClose(await run.read(part), want, exact());
    first += widths[i]!;
  }
  assertClose(await run.read(joined), x, exact());
});

onEachCompiler("copying columns leaves those beside them", async (adapter) => {
  const rows = 5, x = ramp(rows * 3);
  using run = new TestProgram(adapter);
  const y = run.output([rows, 8]);
  const sizes = { rows, cols: 2, y_cols: 8, y_first: 5, x_cols: 3, x_first: 1 };
  run.recorder.dispatch(copyColumns, { y, x: run.holding(x, [rows, 3]) }, sizes);
  await run.run();
  const want = new Float64Array(rows * 8).fill(Math.fround(SENTINEL));
  for (let r = 0; r < rows; r++) want.set(x.subarray(r * 3 + 1, r * 3 + 3), r * 8 + 5);
  assertClose(await run.read(y), want, exact());
});

onEachCompiler("sums of columns add to what is there, rows by blocks of them", async (adapter) => {
  const rows = 301, cols = 67, x = ramp(rows * cols), before = ramp(cols, { phase: 1 });
  using run = new TestProgram(adapter);
  const sums = run.holding(before, [cols]), bound = { sums, x: run.holding(x, [rows, cols]) };
  run.recorder.dispatch(sumColumns, bound, { first_row: 0, rows: 100, cols });
  run.recorder.dispatch(sumColumns, bound, { first_row: 100, rows: 201, cols });
  await run.run();
  const want = reference.sumColumns(wide(x), cols).map((sum, c) => sum + before[c]!);
  assertClose(await run.read(sums), want, arithmetic("f32", "f32", rows));
});

Deno.test("one launch sums no more rows than an invocation may loop", () => {
  const sizes = { first_row: 0, rows: MOST_SUMMED_ROWS, cols: 3 };
  assertClose([sumColumns.iterations!(sizes, sumColumns.constants)], [MOST_SUMMED_ROWS], exact());
});

onEachCompiler("add adds element by element", async (adapter) => {
  const count = 4_099, a = ramp(count), b = ramp(count, { phase: 1 });
  using run = new TestProgram(adapter);
  const y = run.output([count]);
  run.recorder.dispatch(add, { y, a: run.holding(a, [count]), b: run.holding(b, [count]) }, { count });
  await run.run();
  assertClose(await run.read(y), addReference.add(wide(a), wide(b)), arithmetic("f32", "f32", 2));
});
