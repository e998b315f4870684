import {
  rmsNormBackward,
  rmsNormBackwardWeight,
  rmsNormForward,
  type RowLanes,
} from "../../kernels/rms_norm/kernel.ts";
import * as reference from "../../kernels/rms_norm/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

const EPS = 1e-5;

/** Rows, heads of a row, columns of a head, and what is added to the weight. */
type Sizes = readonly [rows: number, heads: number, cols: number, offset: number];

Deno.test("the rms norm reference's backward agrees with central differences", () => {
  for (const offset of [0, 1]) {
    const cols = 7, x = wide(ramp(3 * cols)), weight = wide(ramp(cols, { phase: 1 }));
    const dy = wide(ramp(3 * cols, { phase: 2 }));
    const { rstd } = reference.rmsNormForward(x, weight, EPS, offset);
    assertGradient(
      (x) => dot(dy, reference.rmsNormForward(x, weight, EPS, offset).y),
      x,
      reference.rmsNormBackward(dy, x, weight, rstd, offset),
    );
    assertGradient(
      (weight) => dot(dy, reference.rmsNormForward(x, weight, EPS, offset).y),
      weight,
      reference.rmsNormBackwardWeight(dy, x, rstd, cols),
    );
  }
});

/** Forward, and backward with and without an addend, against the reference. */
async function check(adapter: TestAdapter, sizes: readonly Sizes[], source: OperandSource, lanes: RowLanes) {
  for (const [rows, heads, cols, offset] of sizes) {
    const shape = [rows, heads * cols], all = heads * cols;
    const x = ramp(rows * all), weight = ramp(cols, { phase: 1 });
    const dy = ramp(rows * all, { phase: 2 }), before = ramp(rows * all, { phase: 3 });
    using run = new TestProgram(adapter);
    const y = run.output(shape, "y"), rstd = run.output([rows, heads], "rstd");
    const [dx, dxAlone] = [run.output(shape, "dx"), run.output(shape, "dx alone")];
    const operand = (values: Float32Array<ArrayBuffer>, shape: readonly number[]) =>
      run.operand(run.holding(values, shape), source);
    const bound = { x: operand(x, shape), weight: operand(weight, [1, cols]) };
    const widths = { rows, heads, x_cols: all, weight_cols: cols, offset };
    run.recorder.dispatch(rmsNormForward, { y, rstd, ...bound }, { ...widths, y_cols: all, eps: EPS }, lanes);
    const backward = { ...widths, dx_cols: all, dy_cols: all, addend_cols: all };
    const given = { dy: operand(dy, shape), ...bound, rstd };
    const addend = operand(before, shape);
    run.recorder.dispatch(rmsNormBackward, { dx, ...given, addend }, backward, { ...lanes, ADDEND: 1 });
    const unread = { dx: dxAlone, ...given, addend: given.dy };
    run.recorder.dispatch(rmsNormBackward, unread, backward, { ...lanes, ADDEND: 0 });
    await run.run();
    const want = reference.rmsNormForward(wide(x), wide(weight), EPS, offset);
    const wantDx = reference.rmsNormBackward(wide(dy), wide(x), wide(weight), want.rstd, offset);
    const tolerance = arithmetic("f32", "f32", cols);
    assertClose(await run.read(y), want.y, tolerance);
    assertClose(await run.read(rstd), want.rstd, tolerance);
    assertClose(await run.read(dx), wantDx.map((value, i) => value + before[i]!), tolerance);
    assertClose(await run.read(dxAlone), wantDx, tolerance);
  }
}

const ODD: readonly Sizes[] = [[1, 1, 1, 0], [13, 1, 7, 1], [3, 1, 577, 0]];
const WHOLE: readonly Sizes[] = [[5, 1, 64, 1], [7, 3, 8, 1], [3, 2, 4, 0]];

for (
  const [WORKGROUP_SIZE, ROW_LANES] of [[8, 1], [64, 64], [64, 16], [256, 256]] as const
) {
  const lanes = { WORKGROUP_SIZE, ROW_LANES };
  onEachCompiler(
    `rms norm of rows and heads matches the f64 reference, ${ROW_LANES} of ${WORKGROUP_SIZE} lanes a row`,
    async (adapter) => {
      await check(adapter, [...ODD, ...WHOLE], ROW_LANES === 1 ? "texture" : "scalar", lanes);
      if (ROW_LANES < 256) await check(adapter, WHOLE, "vec4", lanes);
    },
  );
}

onEachCompiler("rms norm adds the weight's gradient over all rows to what is there", async (adapter) => {
  for (const [rows, heads, cols] of [[1, 1, 1], [13, 1, 7], [5, 3, 64], [259, 1, 65]] as const) {
    const x = ramp(rows * heads * cols), dy = ramp(x.length, { phase: 2 });
    const rstd = ramp(rows * heads, { phase: 4 }), before = ramp(cols, { phase: 3 });
    using run = new TestProgram(adapter);
    const dweight = run.holding(before, [cols], "dweight"), shape = [rows, heads * cols];
    const bound = {
      dweight,
      dy: run.operand(run.holding(dy, shape), "scalar"),
      x: run.operand(run.holding(x, shape), "texture"),
      rstd: run.holding(rstd),
    };
    const half = rows >> 1; // in two launches, as more rows than one may loop over
    for (const [first, count] of [[0, half], [half, rows - half]] as const) {
      if (count === 0) continue;
      const widths = { heads, cols, dy_cols: heads * cols, x_cols: heads * cols };
      run.recorder.dispatch(rmsNormBackwardWeight, bound, { first_row: first, rows: count, ...widths });
    }
    await run.run();
    const want = reference.rmsNormBackwardWeight(wide(dy), wide(x), wide(rstd), cols);
    const tolerance = arithmetic("f32", "f32", rows * heads);
    assertClose(await run.read(dweight), want.map((sum, i) => sum + before[i]!), tolerance);
  }
});

onEachCompiler("rms norm covers 65,539 rows, more than one side of a grid", async (adapter) => {
  const rows = 65_539, cols = 2, x = ramp(rows * cols), weight = ramp(cols, { phase: 1 });
  using run = new TestProgram(adapter);
  const y = run.output([rows, cols]), rstd = run.output([rows]);
  const bound = {
    y,
    rstd,
    x: run.operand(run.holding(x, [rows, cols]), "scalar"),
    weight: run.operand(run.holding(weight, [1, cols]), "scalar"),
  };
  const sizes = { rows, heads: 1, y_cols: cols, x_cols: cols, weight_cols: cols, offset: 0, eps: EPS };
  run.recorder.dispatch(rmsNormForward, bound, sizes, { WORKGROUP_SIZE: 1, ROW_LANES: 1 });
  await run.run();
  const want = reference.rmsNormForward(wide(x), wide(weight), EPS);
  assertClose(await run.read(y), want.y, arithmetic("f32", "f32", cols));
  assertClose(await run.read(rstd), want.rstd, arithmetic("f32", "f32", cols));
});
