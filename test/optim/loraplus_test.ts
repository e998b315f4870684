/**
 * LoRA+ against PEFT's optimizers; see `test/golden/make_loraplus.py`.
 */
import assert from "node:assert/strict";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { createOptimizer } from "../../src/optim/optimizer.ts";
import golden from "../golden/loraplus.json" with { type: "json" };
import { onEachCompiler, type TestAdapter, TestProgram } from "../helpers/gpu.ts";

const STEPS = 60, EVERY = 20, BASE = 1e-3;

/** As in make_loraplus.py. */
function wave(count: number, phase: number, scale: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => scale * Math.sin(0.3 * phase + 0.7 * i));
}

function trainingOf({ optim, ratio, weight_decay, options }: (typeof golden.cases)[number]) {
  const { betas = [0.9, 0.999], eps = 1e-8, momentum = 0 } = options as Partial<
    { betas: number[]; eps: number; momentum: number }
  >;
  return parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    optim,
    weight_decay,
    loraplus_lr_ratio: ratio,
    adam_beta1: betas[0],
    adam_beta2: betas[1],
    adam_epsilon: eps,
    sgd_momentum: momentum,
    max_grad_norm: 0,
  }).training;
}

async function check(adapter: TestAdapter, wanted: (typeof golden.cases)[number]): Promise<void> {
  using run = new TestProgram(adapter);
  const pool = new ParameterPool(adapter.gpu), { rank } = golden;
  const [a, b] = [[rank, golden.in], [golden.out, rank]].map((shape, i) =>
    pool.add(loraKey("model.layers.0.mlp.up_proj", i === 0 ? "A" : "B"), shape)
  );
  pool.allocate();
  pool.write(a!, wave(rank * golden.in, 0, 1));
  pool.write(b!, wave(golden.out * rank, 1, 1));
  const sinks = { totals: run.holding(new Float32Array(4)), flags: run.holding(new Uint32Array(1)) };
  const optimizer = await createOptimizer(run.resources, pool, sinks, trainingOf(wanted));
  const queue = adapter.gpu.device.queue;
  for (let step = 0; step < STEPS; step++) {
    queue.writeBuffer(a!.grad.buffer!, a!.grad.offset, wave(rank * golden.in, step + 2, 1));
    queue.writeBuffer(b!.grad.buffer!, b!.grad.offset, wave(golden.out * rank, 3 * step, 2));
    optimizer.step(step + 1, BASE);
    if ((step + 1) % EVERY !== 0) continue;
    const got = await pool.read(), want = wanted.factors[(step + 1) / EVERY - 1]!;
    // each of the steps so far rounds sums of size 2 to f32 once or twice
    const tolerance = 2 * 2 ** -23 * (step + 1);
    for (const [parameter, values] of [[a!, want.a], [b!, want.b]] as const) {
      got.get(parameter.name)!.forEach((value, i) =>
        assert.ok(
          Math.abs(value - values[i]!) <= tolerance,
          `step ${step + 1}, ${parameter.name} ${i}: ${value}, wanted ${values[i]}`,
        )
      );
    }
  }
  pool.destroy();
}

for (const wanted of golden.cases) {
  onEachCompiler(
    `${wanted.optim} with LoRA+ ratio ${wanted.ratio} gives PEFT's factors over ${STEPS} steps`,
    (adapter) => check(adapter, wanted),
  );
}
