import { ACTIVATIONS, gatedBackward, gatedForward } from "../../kernels/gated/kernel.ts";
import * as reference from "../../kernels/gated/reference.ts";
import type { OperandSource } from "../../src/gpu/kernel.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

type Activation = keyof typeof ACTIVATIONS;
const NAMES = Object.keys(ACTIVATIONS) as Activation[];

async function check(
  adapter: TestAdapter,
  gate: Float32Array<ArrayBuffer>,
  cols: number,
  source: OperandSource,
  activation: Activation,
) {
  const rows = gate.length / cols, shape = [rows, cols];
  const up = ramp(gate.length, { phase: 1 }), dy = ramp(gate.length, { phase: 2 });
  using run = new TestProgram(adapter);
  const [y, dgate, dup] = [run.output(shape, "y"), run.output(shape, "dgate"), run.output(shape, "dup")];
  const operand = (values: Float32Array<ArrayBuffer>) => run.operand(run.holding(values, shape), source);
  const bound = { gate: operand(gate), up: operand(up) };
  const constants = { ...gatedForward.constants, ACTIVATION: ACTIVATIONS[activation] };
  const widths = { rows, gate_cols: cols, up_cols: cols };
  run.recorder.dispatch(gatedForward, { y, ...bound }, { ...widths, y_cols: cols }, constants);
  const more = { ...widths, dgate_cols: cols, dup_cols: cols, dy_cols: cols };
  run.recorder.dispatch(gatedBackward, { dgate, dup, ...bound, dy: operand(dy) }, more, constants);
  await run.run();
  const want = reference.gatedBackward(wide(gate), wide(up), wide(dy), activation);
  const tolerance = arithmetic("f32", "f32", 4);
  assertClose(await run.read(y), reference.gatedForward(wide(gate), wide(up), activation), tolerance);
  assertClose(await run.read(dgate), want.dgate, tolerance);
  assertClose(await run.read(dup), want.dup, tolerance);
}

for (const activation of NAMES) {
  Deno.test(`the gated reference's backward agrees with central differences, ${activation}`, () => {
    const gate = wide(ramp(23, { scale: 4 })), up = wide(ramp(23, { phase: 1 }));
    const dy = wide(ramp(23, { phase: 2 }));
    const { dgate, dup } = reference.gatedBackward(gate, up, dy, activation);
    assertGradient((gate) => dot(dy, reference.gatedForward(gate, up, activation)), gate, dgate);
    assertGradient((up) => dot(dy, reference.gatedForward(gate, up, activation)), up, dup);
  });

  onEachCompiler(`${activation} matches the f64 reference, from every source`, async (adapter) => {
    for (const source of ["texture", "scalar"] as const) {
      await check(adapter, ramp(1), 1, source, activation);
      await check(adapter, ramp(5 * 67, { scale: 5 }), 67, source, activation);
    }
    await check(adapter, ramp(3 * 260, { scale: 5 }), 260, "vec4", activation);
  });

  onEachCompiler(`${activation} stays finite and right where the gate is large`, async (adapter) => {
    for (const size of [13, 44, 80, 100, 10_000]) {
      const gate = Float32Array.of(size, -size, 0.5, -size, size, -0.5, 0, size);
      await check(adapter, gate, 8, "vec4", activation);
    }
  });
}

onEachCompiler("the gated activation covers more rows than one side of a grid", async (adapter) => {
  const rows = 65_537, cols = 3, count = rows * cols;
  using run = new TestProgram(adapter);
  const gate = ramp(count), up = ramp(count, { phase: 1 });
  const y = run.output([rows, cols]);
  const operand = (values: Float32Array<ArrayBuffer>) =>
    run.operand(run.holding(values, [rows, cols]), "scalar");
  const sizes = { rows, y_cols: cols, gate_cols: cols, up_cols: cols };
  const constants = { WORKGROUP_SIZE: 1, ACTIVATION: ACTIVATIONS.silu };
  run.recorder.dispatch(gatedForward, { y, gate: operand(gate), up: operand(up) }, sizes, constants);
  await run.run();
  assertClose(await run.read(y), reference.gatedForward(wide(gate), wide(up)), arithmetic("f32", "f32", 4));
});
