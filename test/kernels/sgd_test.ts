import { SGD_NUMBERS, sgdNumbers, sgdUpdate } from "../../kernels/sgd/kernel.ts";
import * as reference from "../../kernels/sgd/reference.ts";
import { arithmetic, assertClose, exact } from "../helpers/close.ts";
import { ramp } from "../helpers/fill.ts";
import { onEachCompiler, TestProgram } from "../helpers/gpu.ts";
import { wide } from "../helpers/gradient.ts";

/** Of every 64 values. */
const RATES = Float32Array.of(1, 3, 0.5, 1, 2);
const LEARNING_RATE = 0.05, WEIGHT_DECAY = 0.1;

for (
  const [count, momentum, nesterov, clip] of [[4, 0, false, 1], [268, 0.9, false, 0.25], [
    268,
    0.9,
    true,
    1,
  ]] as const
) {
  const kind = momentum === 0 ? "plain" : nesterov ? "with Nesterov's momentum" : "with momentum";
  onEachCompiler(
    `sgd ${kind} matches the f64 reference over 5 steps of ${count} values, clipped by ${clip}`,
    async (adapter) => {
      const hyper = { learningRate: LEARNING_RATE, weightDecay: WEIGHT_DECAY, momentum };
      const start = ramp(count), rates = Array.from(start, (_, i) => RATES[Math.floor(i / 64)]!);
      const want = { p: wide(start), m: new Float64Array(count) };
      let got = { p: start, m: new Float32Array(count) };
      for (let step = 1; step <= 5; step++) {
        const grads = ramp(count, { phase: step, scale: step === 3 ? 100 : 1 });
        using run = new TestProgram(adapter);
        const [p, m] = [run.holding(got.p), run.holding(got.m)];
        run.recorder.dispatch(
          sgdUpdate,
          {
            p,
            m,
            grads: run.holding(grads),
            totals: run.holding(Float32Array.of(0, 0, clip, 0)),
            flags: run.holding(new Uint32Array(1)),
            numbers: run.holding(sgdNumbers(hyper)),
            rates: run.holding(RATES),
          },
          { vectors: count / 4 },
          { ...sgdUpdate.constants, NESTEROV: nesterov ? 1 : 0 },
        );
        await run.run();
        got = { p: await run.read(p), m: await run.read(m) };
        reference.sgdUpdate(want.p, want.m, wide(grads), { ...hyper, nesterov, clip, rates });
        assertClose(got.p, want.p, arithmetic("f32", "f32", 4 * step));
        assertClose(got.m, want.m, arithmetic("f32", "f32", 4 * step));
      }
    },
  );
}

onEachCompiler("sgd touches nothing where the flag is raised", async (adapter) => {
  const values = [1, 2].map((phase) => ramp(8, { phase }));
  using run = new TestProgram(adapter);
  const [p, m] = values.map((value) => run.holding(value));
  run.recorder.dispatch(sgdUpdate, {
    p: p!,
    m: m!,
    grads: run.holding(Float32Array.of(NaN, 1, Infinity, 1, 1, 1, 1, -Infinity)),
    totals: run.holding(Float32Array.of(0, NaN, NaN, 0)),
    flags: run.holding(Uint32Array.of(1)),
    numbers: run.holding(sgdNumbers({ learningRate: 1, weightDecay: 1, momentum: 0.5 })),
    rates: run.holding(RATES),
  }, { vectors: 2 });
  await run.run();
  for (const [i, tensor] of [p, m].entries()) assertClose(await run.read(tensor!), values[i]!, exact());
});

Deno.test("sgdNumbers() are in the kernel's order", () => {
  const numbers = sgdNumbers({ momentum: 3, weightDecay: 2, learningRate: 1 });
  assertClose(numbers, Float32Array.of(1, 2, 3), exact());
  assertClose([numbers.length], [SGD_NUMBERS], exact());
});
