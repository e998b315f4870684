/**
 * The small step in this library's layers and optimizer, recorded once.
 *
 * @module
 */
import { Arena } from "../../src/gpu/arena.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { FrozenMatrix } from "../../src/nn/frozen_matrix.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { StepRecorder } from "../../src/nn/step_recorder.ts";
import * as activation from "../../src/nn/gated.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { type Tensor, tensorAt } from "../../src/tensor.ts";
import type { BenchDevice } from "../part.ts";
import { ADAMW, type Matrix, type MlpProblem, type MlpRunner, RANK, SCALING } from "./problem.ts";
import { squaredError } from "./squared_error.ts";

/** The frozen weights lie where training keeps them. Two submits a step: the recorded step and AdamW's. */
export async function openLowrankMlp(
  { gpu, variants }: BenchDevice,
  { maps, x, target }: MlpProblem,
): Promise<MlpRunner> {
  const pool = new ParameterPool(gpu);
  const layers = maps.map(({ name, weight, a, b }) => {
    const matrix = new FrozenMatrix(name, weight.rows, weight.cols, gpu, variants);
    const lora = {
      a: pool.add(`${name} a`, [a.rows, a.cols]),
      b: pool.add(`${name} b`, [b.rows, b.cols]),
      rank: RANK,
      scaling: SCALING,
    };
    return { matrix, lora, layer: new LoraLinear(matrix, lora) };
  });
  pool.allocate();
  for (const [i, { matrix, lora }] of layers.entries()) {
    const { weight, a, b } = maps[i]!;
    await matrix.load((first, count) => Promise.resolve(rowsOf(weight, first, count)));
    pool.write(lora.a, a.values);
    pool.write(lora.b, b.values);
  }
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const place = (label: string, shape: readonly number[], elem: "f32" | "u32" = "f32"): Tensor => {
    const size = 4 * shape.reduce((product, n) => product * n, 1);
    return tensorAt(label, shape, gpu.device.createBuffer({ label, size, usage }), 0, elem);
  };
  const input = place("x", [x.rows, x.cols]), goal = place("target", [target.rows, target.cols]);
  const totals = place("totals", [4]), flags = place("flags", [1], "u32");
  gpu.device.queue.writeBuffer(input.buffer!, 0, x.values);
  gpu.device.queue.writeBuffer(goal.buffer!, 0, target.values);

  const resources = { gpu, pipelines: new PipelineCache(gpu), arena: new Arena(gpu) };
  const run = new StepRecorder("small step", resources, variants);
  for (const { grads } of pool.chunks) run.clear(grads);
  recordStep(run, layers.map(({ layer }) => layer), { input, goal, totals });
  const program = await run.build();
  const config = { ...ADAMW, weightDecay: 0, maxGradNorm: 0 };
  const optimizer = await AdamW.create(resources, pool, { totals, flags }, config);
  let steps = 0;
  return {
    name: "Lowrank",
    step() {
      program.run();
      optimizer.step(++steps, ADAMW.learningRate);
    },
    settle: () => gpu.settle(),
    loss: async () => new Float32Array(await gpu.read(totals.buffer!, 0, 4))[0]!,
    async close() {
      await gpu.settle();
      resources.arena.destroy();
      pool.destroy();
      for (const { matrix } of layers) matrix.destroy();
      for (const { buffer } of [input, goal, totals, flags]) buffer!.destroy();
    },
  };
}

function recordStep(
  run: StepRecorder,
  [gate, up, down]: readonly LoraLinear[],
  { input, goal, totals }: { input: Tensor; goal: Tensor; totals: Tensor },
): void {
  const gated = gate!.forward(run, input), raised = up!.forward(run, input);
  const activated = activation.forward(run, gated.y, raised.y);
  const lowered = down!.forward(run, activated.y);
  const dy = run.tensor("dy", lowered.y.shape);
  run.dispatch(squaredError, { totals, dy, y: lowered.y, goal }, { count: goal.bytes / 4 });
  const dactivated = run.tensor("dactivated", activated.y.shape);
  down!.backward(run, dy, lowered.saved, dactivated, "set");
  const { dgate, dup } = activation.backward(run, dactivated, activated.saved);
  up!.backward(run, dup, raised.saved, null, "set");
  gate!.backward(run, dgate, gated.saved, null, "set");
}

function rowsOf({ cols, values }: Matrix, first: number, count: number): Float32Array<ArrayBuffer> {
  return values.slice(first * cols, (first + count) * cols);
}
