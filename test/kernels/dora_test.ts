import assert from "node:assert/strict";
import {
  doraBackwardMagnitude,
  doraGain,
  doraNorms,
  MOST_MAGNITUDE_ROWS,
  rowSquares,
} from "../../kernels/dora/kernel.ts";
import * as reference from "../../kernels/dora/reference.ts";
import { matmulForward } from "../../kernels/matmul/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

Deno.test("the DoRA reference's backward agrees with central differences, norms held constant", () => {
  const cols = 5, z = wide(ramp(3 * cols)), m = wide(ramp(cols, { phase: 1 }));
  const dy = wide(ramp(3 * cols, { phase: 2 })), norms = wide([1.5, 0.25, 2, 7, 1]);
  const loss = (z: Float64Array, m: Float64Array) => dot(dy, reference.gain(z, m, norms));
  assertGradient((m) => loss(z, m), m, reference.backwardMagnitude(dy, z, norms));
  assertGradient((z) => loss(z, m), z, reference.gain(dy, m, norms));
});

for (const [WORKGROUP_SIZE, ROW_LANES] of [[8, 1], [64, 16], [64, 64]] as const) {
  const lanes = { WORKGROUP_SIZE, ROW_LANES };
  onEachCompiler(`squares of rows match the f64 reference, ${ROW_LANES} lanes a row`, async (adapter) => {
    for (const [rows, cols] of [[1, 1], [13, 7], [67, 31], [5, 576]] as const) {
      const w = ramp(rows * cols);
      using run = new TestProgram(adapter);
      const held = run.holding(w, [rows, cols]), squares = run.output([rows]);
      const source = ROW_LANES === 1 ? "texture" : cols % 4 === 0 ? "vec4" : "scalar";
      run.recorder.dispatch(
        rowSquares,
        { squares, w: run.operand(held, source) },
        { rows, w_cols: cols },
        lanes,
      );
      await run.run();
      const want = reference.rowNorms(wide(w), cols).map((norm) => norm ** 2);
      assertClose(await run.read(squares), want, arithmetic("f32", "f32", cols));
    }
  });
}

onEachCompiler("norms of W + sBA match those of the matrix made whole", async (adapter) => {
  for (const [rows, cols, rank] of [[1, 4, 1], [13, 7, 3], [131, 20, 4]] as const) {
    const scaling = 1.5, sizes = { rows, cols, rank, scaling };
    const w = ramp(rows * cols), a = ramp(rank * cols, { phase: 1 }), b = ramp(rows * rank, { phase: 2 });
    const m = ramp(rows, { phase: 3 });
    const [wideW, wideA, wideB] = [wide(w), wide(a), wide(b)];
    const aw = matmulForward(wideA, wideW, { rows: rank, cols: rows, inner: cols, scale: 2 });
    const gram = matmulForward(wideA, wideA, { rows: rank, cols: rank, inner: cols, scale: scaling });
    const t = matmulForward(gram, wideB, { rows: rank, cols: rows, inner: rank })
      .map((value, i) => value + aw[i]!);
    using run = new TestProgram(adapter);
    const norms = run.output([rows]), gains = run.output([rows]);
    const squares = run.holding(Float32Array.from(reference.rowNorms(wideW, cols), (norm) => norm ** 2));
    const given = {
      squares,
      magnitude: run.holding(m),
      b: run.holding(b, [rows, rank]),
      t: run.holding(Float32Array.from(t), [rank, rows]),
    };
    run.recorder.dispatch(doraNorms, { norms, gains, ...given }, { rows, rank, scaling });
    await run.run();
    const want = reference.rowNorms(reference.direction(wideW, wideA, wideB, sizes), cols);
    const tolerance = arithmetic("f32", "f32", cols + rank * cols);
    assertClose(await run.read(norms), want, tolerance);
    assertClose(await run.read(gains), want.map((norm, i) => m[i]! / norm), tolerance);
  }
});

onEachCompiler("a row of zeros has no gain and teaches its magnitude nothing", async (adapter) => {
  using run = new TestProgram(adapter);
  const norms = run.output([2]), gains = run.output([2]);
  const magnitude = run.holding(Float32Array.of(3, 4)), one = run.holding(new Float32Array(2), [2, 1]);
  const squares = run.holding(Float32Array.of(0, 4));
  run.recorder.dispatch(
    doraNorms,
    { norms, gains, squares, magnitude, b: one, t: one },
    { rows: 2, rank: 1, scaling: 1 },
  );
  const dmagnitude = run.holding(Float32Array.of(7, 7)), dy = run.holding(Float32Array.of(1, 3), [1, 2]);
  run.recorder.dispatch(
    doraBackwardMagnitude,
    { dmagnitude, dy, z: dy, norms },
    { first_row: 0, rows: 1, cols: 2 },
  );
  await run.run();
  assertClose(await run.read(norms), [0, 2], exact());
  assertClose(await run.read(gains), [0, 2], exact());
  assertClose(await run.read(dmagnitude), [7, 7 + 4.5], exact());
});

onEachCompiler("gains with every combination of bias and addend match the f64 reference", async (adapter) => {
  for (const [rows, cols] of [[1, 1], [7, 13], [33, 64]] as const) {
    const z = ramp(rows * cols), g = ramp(cols, { phase: 1 });
    const bias = ramp(cols, { phase: 2 }), addend = ramp(rows * cols, { phase: 3 });
    using run = new TestProgram(adapter);
    const zs = run.holding(z, [rows, cols]), gains = run.holding(g);
    const [biases, addends] = [run.holding(bias), run.holding(addend, [rows, cols])];
    const outputs = [[0, 0], [1, 0], [0, 1], [1, 1]].map(([BIAS, ADDEND]) => {
      const y = run.output([rows, cols]), constants = { ...doraGain.constants, BIAS: BIAS!, ADDEND: ADDEND! };
      const bound = { y, z: zs, gains, bias: BIAS ? biases : gains, addend: ADDEND ? addends : zs };
      run.recorder.dispatch(doraGain, bound, { rows, cols }, constants);
      return { y, BIAS: BIAS!, ADDEND: ADDEND! };
    });
    await run.run();
    const product = reference.gain(wide(z), wide(g), new Float64Array(cols).fill(1));
    for (const { y, BIAS, ADDEND } of outputs) {
      const want = product.map((value, i) => value + BIAS * bias[i % cols]! + ADDEND * addend[i]!);
      assertClose(await run.read(y), want, arithmetic("f32", "f32", 3));
    }
  }
});

onEachCompiler("the magnitude's gradient adds to what is there, rows by blocks of them", async (adapter) => {
  for (const [rows, cols, split] of [[1, 1, 1], [301, 67, 100]] as const) {
    const dy = ramp(rows * cols), z = ramp(rows * cols, { phase: 1 }), before = ramp(cols, { phase: 2 });
    const norms = ramp(cols, { phase: 3 }).map((value) => 1.5 + value);
    using run = new TestProgram(adapter);
    const dmagnitude = run.holding(before);
    const bound = {
      dmagnitude,
      dy: run.holding(dy, [rows, cols]),
      z: run.holding(z, [rows, cols]),
      norms: run.holding(norms),
    };
    for (let first_row = 0; first_row < rows; first_row += split) {
      const size = { first_row, rows: Math.min(split, rows - first_row), cols };
      run.recorder.dispatch(doraBackwardMagnitude, bound, size);
    }
    await run.run();
    const want = reference.backwardMagnitude(wide(dy), wide(z), wide(norms)).map((sum, c) =>
      sum + before[c]!
    );
    assertClose(await run.read(dmagnitude), want, arithmetic("f32", "f32", rows));
  }
});

Deno.test("one launch of the magnitude's gradient takes no more rows than an invocation may loop", () => {
  const sizes = { first_row: 0, rows: MOST_MAGNITUDE_ROWS, cols: 3 };
  assert.equal(
    doraBackwardMagnitude.iterations!(sizes, doraBackwardMagnitude.constants),
    MOST_MAGNITUDE_ROWS,
  );
});
