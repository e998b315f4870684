import { rmsNormBackward, rmsNormBackwardWeight, rmsNormForward } from "../../kernels/rms_norm/kernel.ts";
import * as reference from "../../kernels/rms_norm/reference.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

const EPS = 1e-5;

Deno.test("the rms norm reference's backward agrees with central differences", () => {
  const rows = 3, cols = 7;
  const x = wide(ramp(rows * cols)), weight = wide(ramp(cols, { phase: 1 }));
  const dy = wide(ramp(rows * cols, { phase: 2 }));
  const { rstd } = reference.rmsNormForward(x, weight, rows, cols, EPS);
  assertGradient(
    (x) => dot(dy, reference.rmsNormForward(x, weight, rows, cols, EPS).y),
    x,
    reference.rmsNormBackward(dy, x, weight, rstd, rows, cols),
  );
  assertGradient(
    (weight) => dot(dy, reference.rmsNormForward(x, weight, rows, cols, EPS).y),
    weight,
    reference.rmsNormBackwardWeight(dy, x, rstd, rows, cols),
  );
});

onEachCompiler("rms norm adds the weight's gradient over all rows to what is there", async (adapter) => {
  for (const [rows, cols] of [[1, 1], [13, 7], [5, 64], [259, 65]] as const) {
    const x = ramp(rows * cols), dy = ramp(rows * cols, { phase: 2 }), rstd = ramp(rows, { phase: 4 });
    const before = ramp(cols, { phase: 3 });
    using run = new TestProgram(adapter);
    const dweight = run.holding(before, [cols], "dweight");
    const bound = {
      dy: run.holding(dy, [rows, cols]),
      x: run.holding(x, [rows, cols]),
      rstd: run.holding(rstd),
    };
    run.recorder.dispatch(rmsNormBackwardWeight, { dweight, ...bound }, { rows, cols });
    await run.run();
    const want = reference.rmsNormBackwardWeight(wide(dy), wide(x), wide(rstd), rows, cols);
    assertClose(
      await run.read(dweight),
      want.map((sum, i) => sum + before[i]!),
      arithmetic("f32", "f32", rows),
    );
  }
});

for (const WORKGROUP_SIZE of [16, 64]) {
  onEachCompiler(`rms norm matches the f64 reference with ${WORKGROUP_SIZE} lanes a row`, async (adapter) => {
    for (const [rows, cols] of [[1, 1], [13, 7], [5, 64], [3, 577]] as const) {
      const x = ramp(rows * cols), weight = ramp(cols, { phase: 1 }), dy = ramp(rows * cols, { phase: 2 });
      const before = ramp(rows * cols, { phase: 3 });
      using run = new TestProgram(adapter);
      const y = run.output([rows, cols], "y"), rstd = run.output([rows], "rstd");
      const dx = run.holding(before, [rows, cols], "dx");
      const bound = { x: run.holding(x, [rows, cols]), weight: run.holding(weight) };
      run.recorder.dispatch(rmsNormForward, { y, rstd, ...bound }, { rows, cols, eps: EPS }, {
        WORKGROUP_SIZE,
      });
      run.recorder.dispatch(
        rmsNormBackward,
        { dx, dy: run.holding(dy, [rows, cols]), ...bound, rstd },
        { rows, cols },
        { WORKGROUP_SIZE },
      );
      await run.run();
      const want = reference.rmsNormForward(wide(x), wide(weight), rows, cols, EPS);
      const wantDx = reference.rmsNormBackward(wide(dy), wide(x), wide(weight), want.rstd, rows, cols);
      const tolerance = arithmetic("f32", "f32", cols);
      assertClose(await run.read(y), want.y, tolerance);
      assertClose(await run.read(rstd), want.rstd, tolerance);
      assertClose(await run.read(dx), wantDx.map((value, i) => value + before[i]!), tolerance);
    }
  });
}

onEachCompiler("rms norm covers 65,539 rows, more than one side of a grid", async (adapter) => {
  const rows = 65_539, cols = 2, x = ramp(rows * cols), weight = ramp(cols, { phase: 1 });
  using run = new TestProgram(adapter);
  const y = run.output([rows, cols]), rstd = run.output([rows]);
  const bound = { y, rstd, x: run.holding(x, [rows, cols]), weight: run.holding(weight) };
  run.recorder.dispatch(rmsNormForward, bound, { rows, cols, eps: EPS }, { WORKGROUP_SIZE: 16 });
  await run.run();
  const want = reference.rmsNormForward(wide(x), wide(weight), rows, cols, EPS);
  assertClose(await run.read(y), want.y, arithmetic("f32", "f32", cols));
  assertClose(await run.read(rstd), want.rstd, arithmetic("f32", "f32", cols));
});
