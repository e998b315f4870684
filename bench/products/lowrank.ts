/**
 * The product as this library's layers compute it, both operands staged anew for each product where the adapter's
 * variant stages at all.
 *
 * @module
 */
import { Arena } from "../../src/gpu/arena.ts";
import { PipelineCache } from "../../src/gpu/pipelines.ts";
import { BufferUsage } from "../../src/gpu/usage.ts";
import { LoraLinear } from "../../src/nn/lora_linear.ts";
import { StepRecorder } from "../../src/nn/step_recorder.ts";
import { type Tensor, tensorAt } from "../../src/tensor.ts";
import { BufferMatrix } from "../buffer_matrix.ts";
import type { BenchDevice } from "../part.ts";
import type { ProductProblem, ProductRunner } from "./problem.ts";

/** Records one product of a linear map without an update; a run repeats it. */
export async function openLowrankProduct(
  { gpu, variants }: BenchDevice,
  { size, transposed, x, w }: ProductProblem,
): Promise<ProductRunner> {
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const place = (label: string, values?: Float32Array<ArrayBuffer>): Tensor => {
    const buffer = gpu.device.createBuffer({ label, size: 4 * size * size, usage });
    if (values) gpu.device.queue.writeBuffer(buffer, 0, values);
    return tensorAt(label, [size, size], buffer);
  };
  const left = place("x", x), right = place("w", w), result = place("y");
  const arena = new Arena(gpu);
  const run = new StepRecorder("product", { gpu, pipelines: new PipelineCache(gpu), arena }, variants);
  const layer = new LoraLinear(new BufferMatrix(right), null);
  run.section("product");
  let y = result;
  if (transposed) y = layer.forward(run, left).y;
  else layer.backward(run, left, { x: left, u: null, z: null }, result, "set");
  run.section("result");
  if (y !== result) run.copy(y, result);
  const program = await run.build();
  return {
    name: "Lowrank",
    async run(count) {
      program.run(Array<string>(count).fill("product"));
      await gpu.settle();
    },
    async read() {
      program.run(["result"]);
      return new Float32Array(await gpu.read(result.buffer!, 0, result.bytes));
    },
    async close() {
      await gpu.settle();
      arena.destroy();
      for (const { buffer } of [left, right, result]) buffer!.destroy();
    },
  };
}
