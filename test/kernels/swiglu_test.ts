import { swigluBackward, swigluForward } from "../../kernels/swiglu/kernel.ts";
import * as reference from "../../kernels/swiglu/reference.ts";
import { arithmetic, assertClose } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";
import { assertGradient, dot, wide } from "../helpers/gradient.ts";

async function check(adapter: TestAdapter, gate: Float32Array<ArrayBuffer>) {
  const count = gate.length, up = ramp(count, { phase: 1 }), dy = ramp(count, { phase: 2 });
  using run = new TestProgram(adapter);
  const y = run.output([count]), dgate = run.holding(gate), dup = run.holding(up);
  run.recorder.dispatch(swigluForward, { y, gate: dgate, up: dup }, { count });
  run.recorder.dispatch(swigluBackward, { gate: dgate, up: dup, dy: run.holding(dy) }, { count });
  await run.run();
  const want = reference.swigluBackward(wide(gate), wide(up), wide(dy));
  const tolerance = arithmetic("f32", "f32", 4);
  assertClose(await run.read(y), reference.swigluForward(wide(gate), wide(up)), tolerance);
  assertClose(await run.read(dgate), want.dgate, tolerance);
  assertClose(await run.read(dup), want.dup, tolerance);
}

Deno.test("the SwiGLU reference's backward agrees with central differences", () => {
  const gate = wide(ramp(23, { scale: 4 })),
    up = wide(ramp(23, { phase: 1 })),
    dy = wide(ramp(23, { phase: 2 }));
  const { dgate, dup } = reference.swigluBackward(gate, up, dy);
  assertGradient((gate) => dot(dy, reference.swigluForward(gate, up)), gate, dgate);
  assertGradient((up) => dot(dy, reference.swigluForward(gate, up)), up, dup);
});

onEachCompiler("SwiGLU matches the f64 reference for 1 and 67 elements", async (adapter) => {
  await check(adapter, ramp(1));
  await check(adapter, ramp(67, { scale: 5 }));
});

onEachCompiler("SwiGLU covers more workgroups than one side of a grid", async (adapter) => {
  const count = 64 * 65_535 + 3;
  using run = new TestProgram(adapter);
  const gate = ramp(count), up = ramp(count, { phase: 1 });
  const y = run.output([count]);
  run.recorder.dispatch(swigluForward, { y, gate: run.holding(gate), up: run.holding(up) }, { count });
  await run.run();
  const got = await run.read(y), last = count - 100;
  const want = reference.swigluForward(wide(gate.subarray(last)), wide(up.subarray(last)));
  assertClose(got.subarray(last), want, arithmetic("f32", "f32", 4));
  const middle = count >> 1;
  const wantMiddle = reference.swigluForward(
    wide(gate.subarray(middle, middle + 100)),
    wide(up.subarray(middle, middle + 100)),
  );
  assertClose(got.subarray(middle, middle + 100), wantMiddle, arithmetic("f32", "f32", 4));
});

onEachCompiler("SwiGLU stays finite and right where the gate is ±80, ±100 or ±10,000", async (adapter) => {
  for (const size of [80, 100, 10_000]) await check(adapter, Float32Array.of(size, -size, 0.5, -size, size));
});
