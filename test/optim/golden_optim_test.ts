/**
 * 200 steps of every schedule and optimizer against transformers and torch; see `test/golden/make_optim.py`.
 */
import assert from "node:assert/strict";
import { SCHEDULE_TYPES, type ScheduleKwargs, type ScheduleType } from "../../src/config/scheduler_kwargs.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { MetricSchedule } from "../../src/optim/metric_schedule.ts";
import { learningRateAt } from "../../src/optim/schedule.ts";
import { Sgd } from "../../src/optim/sgd.ts";
import golden from "../golden/optim.json" with { type: "json" };
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";

const STEPS = 200, WARMUP = 20, BASE = 1e-2;
/** Of the base: goldens are f64, as the rates are here. */
const RATE_TOLERANCE = 1e-6;

/** As in make_optim.py. */
function metric(i: number): number {
  const later = i > 120 ? 0.3 * (1 - Math.exp(-(i - 120) / 10)) : 0;
  return 2 + Math.exp(-i / 15) - later + 0.01 * Math.sin(7 * i);
}

function ratesOf(type: ScheduleType, kwargs: ScheduleKwargs): number[] {
  const steps = Array.from({ length: STEPS }, (_, step) => step);
  if (type !== "reduce_lr_on_plateau" && type !== "greedy") {
    const schedule = { type, kwargs, baseLearningRate: BASE, warmupSteps: WARMUP, totalSteps: STEPS };
    return steps.map((step) => learningRateAt(step, schedule));
  }
  let schedule = new MetricSchedule(type, BASE, kwargs);
  return steps.map((step) => {
    const rate = schedule.learningRate;
    schedule.observe(metric(step));
    // as a run that is stopped after every evaluation and resumed from JSON
    const state = JSON.parse(JSON.stringify(schedule.state));
    schedule = new MetricSchedule(type, BASE, kwargs);
    schedule.restore(state);
    return rate;
  });
}

for (const { type, kwargs, rates } of golden.schedules) {
  Deno.test(`${type} ${JSON.stringify(kwargs)} gives transformers' rates over 200 steps`, () => {
    const got = ratesOf(type as ScheduleType, kwargs as ScheduleKwargs);
    rates.forEach((want, i) => {
      const at = got[i * golden.every]!;
      assert.ok(
        Math.abs(at - want) <= RATE_TOLERANCE * BASE,
        `step ${i * golden.every}: ${at}, wanted ${want}`,
      );
    });
    assert.equal(rates.length, STEPS / golden.every);
  });
}

Deno.test("the goldens hold every schedule, and those that follow metrics change there", () => {
  assert.deepEqual([...new Set(golden.schedules.map(({ type }) => type))].sort(), [...SCHEDULE_TYPES].sort());
  const changing = golden.schedules.filter(({ type }) =>
    type === "greedy" || type === "reduce_lr_on_plateau"
  );
  for (const { type, kwargs, rates } of changing) {
    assert.ok(new Set(rates).size >= 2, `${type} ${JSON.stringify(kwargs)} never changes`);
  }
});

async function optimizerOf(
  { optim, options }: (typeof golden.optimizers)[number],
  run: TestProgram,
  pool: ParameterPool,
) {
  const sinks = { totals: run.holding(new Float32Array(4)), flags: run.holding(new Uint32Array(1)) };
  const { betas, eps = 0, weight_decay: weightDecay = 0, momentum = 0, nesterov = false } =
    options as Partial<
      { betas: number[]; eps: number; weight_decay: number; momentum: number; nesterov: boolean }
    >;
  if (optim === "sgd") {
    return await Sgd.create(run.resources, pool, sinks, { weightDecay, momentum, nesterov, maxGradNorm: 0 });
  }
  const [beta1, beta2] = betas as [number, number];
  return await AdamW.create(run.resources, pool, sinks, {
    weightDecay,
    beta1,
    beta2,
    epsilon: eps,
    maxGradNorm: 0,
  });
}

async function checkOptimizer(
  adapter: TestAdapter,
  wanted: (typeof golden.optimizers)[number],
): Promise<void> {
  using run = new TestProgram(adapter);
  const pool = new ParameterPool(adapter.gpu);
  const parameter = pool.add("p", [4]);
  pool.allocate();
  pool.write(parameter, Float32Array.of(0.5, -1.25, 2, 0));
  const optimizer = await optimizerOf(wanted, run, pool);
  for (let step = 0; step < STEPS; step++) {
    const grad = Float32Array.from({ length: 4 }, (_, i) => Math.sin(0.3 * step + i) + 0.1 * i);
    adapter.gpu.device.queue.writeBuffer(parameter.grad.buffer!, parameter.grad.offset, grad);
    optimizer.step(step + 1, BASE);
    if (step % 40 !== 4) continue;
    const want = wanted.parameters[(step - 4) / 40]!;
    const got = (await pool.read()).get("p")!;
    // each of the steps so far rounds sums of size 2 to f32 once or twice
    const tolerance = 2 * 2 ** -23 * (step + 1);
    got.forEach((value, i) =>
      assert.ok(Math.abs(value - want[i]!) <= tolerance, `step ${step + 1}: ${value}, wanted ${want[i]}`)
    );
  }
  pool.destroy();
}

for (const wanted of golden.optimizers) {
  onEachCompiler(
    `${wanted.optim} ${JSON.stringify(wanted.options)} gives torch's parameters over 200 steps`,
    (adapter) => checkOptimizer(adapter, wanted),
  );
}
