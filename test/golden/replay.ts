/**
 * Replays a recorded training run: same base model, same first adapter, same batches, same recipe, and writes the losses
 * and the last adapter for comparison.
 *
 *     deno task replay --base MODEL --curve DIR --steps N --out losses.json --adapter-out DIR
 *     deno task replay --base MODEL --curve DIR --quantization 4bit
 *     deno task replay --base MODEL --curve DIR --steps 2 --variant all
 *     VK_ICD_FILENAMES=DRIVER.json deno task replay --base MODEL --curve DIR --steps 1 --variant subgroup --dawn
 *
 * MODEL is a folder or a GGUF file, which stays packed. With `--quantization 4bit` the losses are held against those of
 * PEFT on the same base in NF4, `nf4_curve.json`.
 *
 * The recipe is the curve's: AdamW, learning rate 2e-4 constant, weight decay 0.01, no clipping, one batch a step. With
 * `--variant all` every variant that fits the adapter replays the steps, and a table says how far its losses are from the
 * recorded ones. `--dawn` computes with Dawn, and its compiler Tint, in place of Deno's WebGPU. Exit code 1 where a loss is too far.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { QUANTIZATION_WORDS } from "../../src/config.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { chooseVariants, variantFits, VARIANTS, type Variants } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { dawnEntry } from "../helpers/dawn.ts";
import { nf4Reference, type Reference, worstDistance } from "./curve.ts";
import { precisionOf } from "./golden_cases.ts";
import { openRecording, replay, type Replayed, type ReplayRequest } from "./replayed_run.ts";
import { formatRow, VARIANT_NAMES, type VariantRow } from "./variant_table.ts";

/** Relative distance of losses, by what the variants compute with. */
const LIMITS = { f32: 1e-3, f16: 2e-2 } as const;

const { values: flags } = parseArgs({
  options: {
    base: { type: "string" },
    curve: { type: "string" },
    steps: { type: "string", default: "20" },
    quantization: { type: "string", default: "none" },
    out: { type: "string" },
    "adapter-out": { type: "string" },
    variant: { type: "string" },
    profile: { type: "boolean", default: false },
    dawn: { type: "boolean", default: false },
  },
});
const { base, curve } = flags;
const steps = Number(flags.steps);
const named = VARIANT_NAMES.find((name) => name === flags.variant);
const quantization = QUANTIZATION_WORDS.find((word) => word === flags.quantization);
if (
  !base || !curve || !quantization || !(steps >= 1) ||
  (flags.variant !== undefined && flags.variant !== "all" && !named)
) {
  console.error(
    "usage: deno task replay --base MODEL --curve DIR [--steps N] [--out losses.json] [--adapter-out DIR] " +
      `[--quantization ${QUANTIZATION_WORDS.join("|")}] [--variant all|${
        VARIANT_NAMES.join("|")
      }] [--profile] [--dawn]`,
  );
  Deno.exit(2);
}

quietMesa();
const gpu = await openGpu(flags.dawn ? { entry: await dawnEntry() } : {});
const recording = await openRecording(new LocalFolder(curve));
if (steps > recording.batches) {
  console.error(`error: ${curve} holds ${recording.batches} batches and --steps asks for ${steps}`);
  Deno.exit(2);
}
const reference: Reference = quantization === "4bit"
  ? await nf4Reference()
  : { name: "PEFT on plain weights", losses: recording.losses, limit: LIMITS.f32 };
const request: ReplayRequest = {
  gpu,
  openBase: async () => {
    const opened = await new ModelManager((uri) => new LocalFolder(uri)).open(base);
    return ModelManager.quantized(opened, {
      loadIn4bit: quantization === "4bit",
      loadIn8bit: quantization === "8bit",
      doubleQuant: true,
    });
  },
  recording,
  steps,
  profiles: flags.profile,
  tell: console.error,
};
const isWell = flags.variant === "all" ? await everyVariant() : await once();
await gpu.close();
Deno.exit(isWell ? 0 : 1);

async function once(): Promise<boolean> {
  const variants = named ? VARIANTS[named] : chooseVariants(gpu);
  const out = flags["adapter-out"];
  const { losses, gradNorms } = await replay({
    ...request,
    variants,
    ...(out ? { adapterOut: new LocalFolder(out) } : {}),
  });
  const result = JSON.stringify({ loss: losses, grad_norm: gradNorms });
  if (flags.out) await Deno.writeTextFile(flags.out, result);
  else console.log(result);
  if (quantization === "8bit") return true; // nothing was recorded in 8 bits
  const worst = worstDistance(losses, reference);
  console.error(`loss at most ${worst.toPrecision(2)} from ${reference.name}, of ${reference.limit}`);
  return worst <= reference.limit;
}

async function everyVariant(): Promise<boolean> {
  let isWell = true;
  for (const variant of VARIANT_NAMES) {
    const row = { variant, adapter: gpu.name, ...await replayedWith(VARIANTS[variant]) };
    console.log(formatRow(row));
    isWell &&= row.outcome !== "failed";
  }
  return isWell;
}

async function replayedWith(variants: Variants): Promise<Pick<VariantRow, "outcome" | "detail">> {
  const reason = variantFits(gpu, variants);
  if (reason !== null) return { outcome: "cannot run", detail: reason };
  return judged(await replay({ ...request, variants }), LIMITS[precisionOf(variants)]);
}

function judged({ losses, seconds }: Replayed, limit: number): Pick<VariantRow, "outcome" | "detail"> {
  const worst = worstDistance(losses, reference);
  return {
    outcome: worst <= limit ? "passed" : "failed",
    detail: `${steps} steps of at least ${Math.min(...seconds).toFixed(2)} s; loss at most ` +
      `${worst.toPrecision(2)} from the recorded one, of ${limit}`,
  };
}
