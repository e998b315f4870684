/**
 * Replays a recorded training run: same base model, same first adapter, same batches, same recipe, and writes the losses
 * and the last adapter for comparison.
 *
 *     deno task replay --base HF_DIR --curve DIR --steps N --out losses.json --adapter-out DIR
 *     deno task replay --base HF_DIR --curve DIR --steps 2 --variant all
 *
 * The recipe is the curve's: AdamW, learning rate 2e-4 constant, weight decay 0.01, no clipping, one batch a step. With
 * `--variant all` every variant that fits the adapter replays the steps, and a table says how far its losses are from the
 * recorded ones; exit code 1 where one is too far.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quietMesa } from "../../src/cli/quiet_mesa.ts";
import { openGpu } from "../../src/gpu/device.ts";
import { chooseVariants, variantFits, VARIANTS } from "../../src/nn/variants.ts";
import { LocalFolder } from "../../src/storage/local.ts";
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
    out: { type: "string" },
    "adapter-out": { type: "string" },
    variant: { type: "string" },
    profile: { type: "boolean", default: false },
  },
});
const { base, curve } = flags;
const steps = Number(flags.steps);
const named = VARIANT_NAMES.find((name) => name === flags.variant);
if (!base || !curve || !(steps >= 1) || (flags.variant !== undefined && flags.variant !== "all" && !named)) {
  console.error(
    "usage: deno task replay --base HF_DIR --curve DIR [--steps N] [--out losses.json] [--adapter-out DIR] " +
      `[--variant all|${VARIANT_NAMES.join("|")}] [--profile]`,
  );
  Deno.exit(2);
}

quietMesa();
const gpu = await openGpu();
const recording = await openRecording(new LocalFolder(curve));
if (steps > recording.batches) {
  console.error(`error: ${curve} holds ${recording.batches} batches and --steps asks for ${steps}`);
  Deno.exit(2);
}
const request: ReplayRequest = {
  gpu,
  base: new LocalFolder(base),
  recording,
  steps,
  profiles: flags.profile,
  tell: console.error,
};
const isWell = flags.variant === "all" ? await everyVariant() : await once();
await gpu.close();
Deno.exit(isWell ? 0 : 1);

async function once(): Promise<true> {
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
  return true;
}

async function everyVariant(): Promise<boolean> {
  const rows: VariantRow[] = [];
  for (const variant of VARIANT_NAMES) {
    const adapter = gpu.name, variants = VARIANTS[variant], reason = variantFits(gpu, variants);
    if (reason !== null) rows.push({ variant, adapter, outcome: "cannot run", detail: reason });
    else {
      const limit = LIMITS[precisionOf(variants)];
      rows.push({ variant, adapter, ...judged(await replay({ ...request, variants }), limit) });
    }
  }
  for (const row of rows) console.log(formatRow(row));
  return rows.every(({ outcome }) => outcome !== "failed");
}

function judged({ losses, seconds }: Replayed, limit: number): Pick<VariantRow, "outcome" | "detail"> {
  const distances = losses.map((loss, step) => Math.abs(loss / recording.losses[step]! - 1));
  const worst = Math.max(...distances);
  return {
    outcome: worst <= limit ? "passed" : "failed",
    detail: `${steps} steps of at least ${Math.min(...seconds).toFixed(2)} s; loss at most ` +
      `${worst.toPrecision(2)} from the recorded one, of ${limit}`,
  };
}
