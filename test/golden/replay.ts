/**
 * Replays a recorded training run: same base model, same first adapter, same batches, same recipe, and writes the losses
 * and the last adapter for comparison.
 *
 *     deno task replay --base HF_DIR --curve DIR --steps N --out losses.json --adapter-out DIR
 *
 * The recipe is the curve's: AdamW, learning rate 2e-4 constant, weight decay 0.01, no clipping, one batch a step.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { chooseVariants, VARIANTS } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { batchOf, openModel, readInts } from "./model_fixture.ts";

const RECIPE = { weightDecay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 0 };
const LEARNING_RATE = 2e-4;

const { values: flags } = parseArgs({
  options: {
    base: { type: "string" },
    curve: { type: "string" },
    steps: { type: "string", default: "20" },
    out: { type: "string" },
    "adapter-out": { type: "string" },
    variant: { type: "string" },
    profile: { type: "boolean", default: false },
  },
});
const { base, curve } = flags;
const steps = Number(flags.steps);
const variantNames = Object.keys(VARIANTS);
if (
  !base || !curve || !(steps >= 1) || (flags.variant !== undefined && !variantNames.includes(flags.variant))
) {
  console.error(
    "usage: deno task replay --base HF_DIR --curve DIR [--steps N] [--out losses.json] [--adapter-out DIR] " +
      `[--variant ${variantNames.join("|")}] [--profile]`,
  );
  Deno.exit(2);
}

quietMesa();
const gpu = await openGpu();
const file = await SafetensorsFile.open(new LocalFolder(curve), "batches.safetensors");
const [batches, rows, length] = file.infos.get("input_ids")!.shape as [number, number, number];
if (steps > batches) {
  console.error(`error: ${curve} holds ${batches} batches and --steps asks for ${steps}`);
  Deno.exit(2);
}
const arrays = {
  ids: await readInts(file, "input_ids"),
  mask: await readInts(file, "attention_mask"),
  labels: await readInts(file, "labels"),
};
const variants = flags.variant ? VARIANTS[flags.variant as keyof typeof VARIANTS] : chooseVariants(gpu);
const started = performance.now();
const { model, adapter, close } = await openModel(
  gpu,
  new LocalFolder(base),
  new LocalFolder(`${curve}/init-adapter`),
  { rows, length },
  variants,
);
await model.prepare("train", rows, length);
const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, RECIPE);
const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(2);
console.error(`${gpu.name}: ${variants.reason}; ready after ${seconds(started)} s`);

const losses: number[] = [];
const gradNorms: number[] = [];
for (let step = 0; step < steps; step++) {
  const stepStarted = performance.now();
  const batch = batchOf(arrays, step, rows, length);
  model.clearGradients();
  model.clearTotals();
  await model.accumulate(batch, 1 / batch.trainedTokens);
  optimizer.step(step + 1, LEARNING_RATE);
  const { summedLoss, gradNorm, finite } = await model.totals();
  if (!finite) throw new Error(`Step ${step} is not finite`);
  losses.push(summedLoss / batch.trainedTokens);
  gradNorms.push(gradNorm);
  console.error(
    `step ${step + 1}/${steps}  loss ${losses.at(-1)!.toFixed(6)}  grad norm ${gradNorm.toFixed(4)}  ${
      seconds(stepStarted)
    } s`,
  );
}
if (flags.profile) {
  for (const { name, dispatches, ms } of (await model.profile(batchOf(arrays, 0, rows, length))).byKernel()) {
    console.error(`${ms.toFixed(1).padStart(9)} ms  ${String(dispatches).padStart(5)}  ${name}`);
  }
}
const result = JSON.stringify({ loss: losses, grad_norm: gradNorms });
if (flags.out) await Deno.writeTextFile(flags.out, result);
else console.log(result);
if (flags["adapter-out"]) {
  const trained = await model.pool.read();
  const tensors = new Map(
    [...trained].map(([name, data]) => [name, { shape: adapter!.tensors.get(name)!.shape, data }]),
  );
  await writeAdapter(new LocalFolder(flags["adapter-out"]), { config: adapter!.config, tensors });
}
await close();
await gpu.close();
