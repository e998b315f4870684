import { gatherRows, NO_ROW, scatterRows } from "../../kernels/rows/kernel.ts";
import * as reference from "../../kernels/rows/reference.ts";
import { assertClose, exact } from "../helpers/close.ts";
import { ramp, SENTINEL } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

const indexOf = (rows: readonly number[]) => Uint32Array.from(rows, (row) => row < 0 ? NO_ROW : row);

Deno.test("the scatter reference is the gradient of the gather reference", () => {
  const index = [4, -1, 0, 2], x = wide(ramp(15)), dy = wide(ramp(12, { phase: 1 }));
  const gradient = reference.scatterRows(dy, index, 5, 3);
  assertGradient((x) => dot(dy, reference.gatherRows(x, index, 3)), x, gradient);
});

onEachCompiler("gather copies rows bit for bit and fills filler rows with zeros", async (adapter) => {
  const index = [9, 3, -1, 0, 10, -1, 3], first = 2, cols = 13;
  const x = ramp(11 * cols);
  using run = new TestProgram(adapter);
  const y = run.output([5, cols]);
  const bound = { y, x: run.holding(x, [11, cols]), index: run.holding(indexOf(index)) };
  run.recorder.dispatch(gatherRows, bound, { rows: 5, cols, first });
  await run.run();
  assertClose(await run.read(y), reference.gatherRows(wide(x), index.slice(first), cols), exact());
});

onEachCompiler("scatter writes the rows named and no other", async (adapter) => {
  const index = [8, 3, -1, 0, 10, -1], first = 1, cols = 13;
  const x = ramp(5 * cols);
  using run = new TestProgram(adapter);
  const y = run.output([11, cols]);
  const bound = { y, x: run.holding(x, [5, cols]), index: run.holding(indexOf(index)) };
  run.recorder.dispatch(scatterRows, bound, { rows: 5, cols, first });
  await run.run();
  const want = reference.scatterRows(wide(x), index.slice(first), 11, cols);
  for (let row = 0; row < 11; row++) {
    if (![0, 3, 10].includes(row)) want.fill(Math.fround(SENTINEL), row * cols, (row + 1) * cols);
  }
  assertClose(await run.read(y), want, exact());
});

onEachCompiler("gather and scatter cover more workgroups than one side of a grid", async (adapter) => {
  const rows = 65_539, cols = 65; // 66,564 workgroups
  const x = ramp(rows * cols), index = Uint32Array.from({ length: rows }, (_, i) => (i * 7) % rows);
  using run = new TestProgram(adapter);
  const gathered = run.output([rows, cols]), back = run.output([rows, cols]);
  const at = run.holding(index), params = { rows, cols, first: 0 };
  run.recorder.dispatch(gatherRows, { y: gathered, x: run.holding(x, [rows, cols]), index: at }, params);
  run.recorder.dispatch(scatterRows, { y: back, x: gathered, index: at }, params);
  await run.run();
  const got = await run.read(gathered), row = rows - 1;
  assertClose(got.subarray(row * cols), x.subarray(index[row]! * cols, (index[row]! + 1) * cols), exact());
  assertClose(await run.read(back), x, exact());
});
