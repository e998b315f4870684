import { ropeRotate } from "../../kernels/rope/kernel.ts";
import * as reference from "../../kernels/rope/reference.ts";
import { ropeTables } from "../../src/models/rope.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

interface Sizes {
  readonly rows: number;
  readonly rowLength: number;
  readonly heads: number;
  readonly halfDim: number;
}

const tablesOf = (halfDim: number, length: number) =>
  ropeTables({ rotaryDim: 2 * halfDim, theta: 10_000, scaling: { type: "default" } }, length);

async function check(adapter: TestAdapter, sizes: Sizes, direction: 1 | -1) {
  const { rows, rowLength, heads, halfDim } = sizes;
  const { cos, sin } = tablesOf(halfDim, rowLength);
  const x = ramp(rows * heads * 2 * halfDim);
  using run = new TestProgram(adapter);
  const rotated = run.holding(x, [rows, heads * 2 * halfDim]);
  const bound = { x: rotated, cos_table: run.holding(cos), sin_table: run.holding(sin) };
  const params = { rows, row_length: rowLength, heads, half_dim: halfDim, direction };
  run.recorder.dispatch(ropeRotate, bound, params);
  await run.run();
  const want = reference.ropeRotate(wide(x), wide(cos), wide(sin), { ...sizes, direction });
  assertClose(await run.read(rotated), want, arithmetic("f32", "f32", 2));
}

Deno.test("the rope reference's rotation back is the gradient of its rotation", () => {
  const sizes = { rows: 6, rowLength: 3, heads: 2, halfDim: 3 };
  const tables = tablesOf(3, 3), cos = wide(tables.cos), sin = wide(tables.sin);
  const x = wide(ramp(72)), dy = wide(ramp(72, { phase: 1 }));
  assertGradient(
    (x) => dot(dy, reference.ropeRotate(x, cos, sin, { ...sizes, direction: 1 })),
    x,
    reference.ropeRotate(dy, cos, sin, { ...sizes, direction: -1 }),
  );
});

for (const direction of [1, -1] as const) {
  onEachCompiler(`rope matches the f64 reference, direction ${direction}`, async (adapter) => {
    await check(adapter, { rows: 1, rowLength: 1, heads: 1, halfDim: 1 }, direction);
    await check(adapter, { rows: 39, rowLength: 13, heads: 3, halfDim: 5 }, direction);
  });
}

onEachCompiler("rope leaves position 0 as it is, bit for bit", async (adapter) => {
  const { cos, sin } = tablesOf(4, 1);
  const x = ramp(16);
  using run = new TestProgram(adapter);
  const rotated = run.holding(x, [2, 8]);
  const bound = { x: rotated, cos_table: run.holding(cos), sin_table: run.holding(sin) };
  run.recorder.dispatch(ropeRotate, bound, { rows: 2, row_length: 1, heads: 1, half_dim: 4, direction: 1 });
  await run.run();
  assertClose(await run.read(rotated), x, exact());
});

onEachCompiler("rope is right at position 131,071, beyond one side of a grid", async (adapter) => {
  const rowLength = 131_072, halfDim = 34; // 69,632 workgroups
  const { cos, sin } = tablesOf(halfDim, rowLength);
  const x = ramp(rowLength * 2 * halfDim);
  using run = new TestProgram(adapter);
  const rotated = run.holding(x, [rowLength, 2 * halfDim]);
  const bound = { x: rotated, cos_table: run.holding(cos), sin_table: run.holding(sin) };
  const params = { rows: rowLength, row_length: rowLength, heads: 1, half_dim: halfDim, direction: 1 };
  run.recorder.dispatch(ropeRotate, bound, params);
  await run.run();
  // the angle from scratch, in f64, so that the tables are checked too
  const last = (rowLength - 1) * 2 * halfDim;
  const want = new Float64Array(2 * halfDim);
  for (let i = 0; i < halfDim; i++) {
    const angle = 131_071 * 10_000 ** (-i / halfDim);
    const a = x[last + i]!, b = x[last + halfDim + i]!;
    want[i] = a * Math.cos(angle) - b * Math.sin(angle);
    want[halfDim + i] = b * Math.cos(angle) + a * Math.sin(angle);
  }
  assertClose((await run.read(rotated)).subarray(last), want, arithmetic("f32", "f32", 2));
});
