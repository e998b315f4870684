import { ADAMW_NUMBERS, adamwNumbers, adamwUpdate } from "../../kernels/adamw/kernel.ts";
import * as reference from "../../kernels/adamw/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

const HYPER = { learningRate: 0.05, weightDecay: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** Of every 64 values. */
const RATES = Float32Array.of(1, 3, 0.5, 1, 2);

for (const [count, clip] of [[4, 1], [4 * 67, 0.25]] as const) {
  onEachCompiler(
    `adamw matches the f64 reference over 5 steps of ${count} values, clipped by ${clip}`,
    async (adapter) => {
      const start = ramp(count), rates = Array.from(start, (_, i) => RATES[Math.floor(i / 64)]!);
      const want = { p: wide(start), m: new Float64Array(count), v: new Float64Array(count) };
      let got = { p: start, m: new Float32Array(count), v: new Float32Array(count) };
      for (let step = 1; step <= 5; step++) {
        const grads = ramp(count, { phase: step, scale: step === 3 ? 100 : 1 });
        using run = new TestProgram(adapter);
        const [p, m, v] = [got.p, got.m, got.v].map((values) => run.holding(values));
        run.recorder.dispatch(adamwUpdate, {
          p: p!,
          m: m!,
          v: v!,
          grads: run.holding(grads),
          totals: run.holding(Float32Array.of(0, 0, clip, 0)),
          flags: run.holding(new Uint32Array(1)),
          numbers: run.holding(adamwNumbers({ ...HYPER, step })),
          rates: run.holding(RATES),
        }, { vectors: count / 4 });
        await run.run();
        got = { p: await run.read(p!), m: await run.read(m!), v: await run.read(v!) };
        reference.adamwUpdate(want.p, want.m, want.v, wide(grads), { ...HYPER, step, clip, rates });
        const tolerance = arithmetic("f32", "f32", 4 * step);
        assertClose(got.p, want.p, tolerance);
        assertClose(got.m, want.m, tolerance);
        assertClose(got.v, want.v, tolerance);
      }
    },
  );
}

onEachCompiler("adamw touches nothing where the flag is raised", async (adapter) => {
  const values = [1, 2, 3].map((phase) => ramp(8, { phase }));
  using run = new TestProgram(adapter);
  const [p, m, v] = values.map((value) => run.holding(value));
  run.recorder.dispatch(adamwUpdate, {
    p: p!,
    m: m!,
    v: v!,
    grads: run.holding(Float32Array.of(NaN, 1, Infinity, 1, 1, 1, 1, -Infinity)),
    totals: run.holding(Float32Array.of(0, NaN, NaN, 0)),
    flags: run.holding(Uint32Array.of(1)),
    numbers: run.holding(adamwNumbers({ ...HYPER, step: 1 })),
    rates: run.holding(RATES),
  }, { vectors: 2 });
  await run.run();
  for (const [i, tensor] of [p, m, v].entries()) assertClose(await run.read(tensor!), values[i]!, exact());
});

Deno.test("adamwNumbers() rounds once what f64 computed", () => {
  const numbers = adamwNumbers({ ...HYPER, step: 2 });
  assertClose(
    numbers,
    Float32Array.of(0.005, 0.9, 0.1, 0.999, 0.001, 0.05 / 0.19, Math.sqrt(0.001999), 1e-8),
    arithmetic("f32", "f32", 1),
  );
  assertClose([numbers.length], [ADAMW_NUMBERS], exact());
});
