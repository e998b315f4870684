/**
 * Times the training step of a model on this machine's adapter:
 *
 *     deno task bench --base MODEL_DIR [--rows 1] [--length 256] [--rank 8] [--steps 5]
 *
 * One row of numbers, cold and warm apart: loading, the first step (which compiles), the median of the steps after it.
 * Token ids are a fixed ramp and every position is trained, so that nothing is skipped. With timestamp queries, the
 * time by kernel follows.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../src/cli/quiet_mesa.ts";
import { openGpu } from "../src/gpu/device.ts";
import { ModelManager } from "../src/model_manager.ts";
import { chooseVariants, VARIANTS } from "../src/nn/variants.ts";
import { LocalFolder } from "../src/storage/local.ts";
import { fullBatch, timeSteps } from "./training_step.ts";

const { values: flags } = parseArgs({
  options: {
    base: { type: "string" },
    rows: { type: "string", default: "1" },
    length: { type: "string", default: "256" },
    rank: { type: "string", default: "8" },
    steps: { type: "string", default: "5" },
    variant: { type: "string" },
  },
});
const [rows, length, rank, steps] = [flags.rows, flags.length, flags.rank, flags.steps].map(Number) as [
  number,
  number,
  number,
  number,
];
const known = Object.keys(VARIANTS);
if (
  !flags.base || ![rows, length, rank, steps].every((n) => n >= 1) ||
  (flags.variant && !known.includes(flags.variant))
) {
  console.error(
    "usage: deno task bench --base MODEL_DIR [--rows N] [--length N] [--rank N] [--steps N] " +
      `[--variant ${known.join("|")}]`,
  );
  Deno.exit(2);
}

const started = performance.now();
const secondsSince = (since: number) => (performance.now() - since) / 1000;
quietMesa();
const gpu = await openGpu();
const variants = flags.variant ? VARIANTS[flags.variant as keyof typeof VARIANTS] : chooseVariants(gpu);
const manager = new ModelManager((uri) => new LocalFolder(uri));
const base = await manager.open(flags.base);
const lora = { rank, alpha: 2 * rank, targetModules: "all-linear" };
const model = manager.plan(base, lora, { gpu, variants, limits: { rows, length } });
model.plan(["train"]);
model.allocate();
await model.decoder.load(base.weights);
manager.initialise(model, { kind: "seed", seed: 42 });
const loadSeconds = secondsSince(started);

const batch = fullBatch(model, rows, length);
const { tokens, first, median, least, most } = await timeSteps(model, batch, steps);
console.log(`adapter   ${gpu.name}${gpu.software ? " (SOFTWARE: says nothing about a GPU)" : ""}`);
console.log(`variants  ${variants.reason}`);
console.log(`model     ${flags.base}, LoRA rank ${rank} on all linear maps, ${rows} x ${length} tokens, f32`);
console.log(`cold      ${loadSeconds.toFixed(2)} s to load, ${first.toFixed(2)} s for the first step`);
console.log(
  `warm      ${median.toFixed(2)} s a step (median of ${steps}, ${least.toFixed(2)} to ${
    most.toFixed(2)
  }), ` +
    `${(tokens / median).toFixed(1)} tokens/s`,
);
if (gpu.features.has("timestamp-query")) {
  const times = (await model.profile(batch)).byKernel();
  const total = times.reduce((sum, { ms }) => sum + ms, 0);
  console.log(`\n${"ms".padStart(9)}  share  launches  kernel (forward and backward)`);
  for (const { name, dispatches, ms } of times) {
    const share = `${(100 * ms / total).toFixed(1)} %`;
    console.log(
      `${ms.toFixed(1).padStart(9)} ${share.padStart(6)} ${String(dispatches).padStart(9)}  ${name}`,
    );
  }
}
model.destroy();
await base.weights.close();
await gpu.close();
