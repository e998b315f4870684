/**
 * Options of the low-rank update.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta, fraction, wholeNumber } from "../field_types.ts";

/** The low-rank update: y = W0 x + scaling · B (A x), scaling = alpha / r, or alpha / √r. */
export const loraSchema = z.strictObject({
  lora_r: z._default(wholeNumber(1, 4096), 16).register(fieldMeta, {
    section: "LoRA",
    help: "Rank of the update",
    aliases: ["r", "rank", "lora_rank"],
  }),
  lora_alpha: z._default(z.number().check(z.gt(0)), 32).register(fieldMeta, {
    section: "LoRA",
    help: "Strength of the update; only alpha / r matters",
    aliases: ["alpha"],
  }),
  use_rslora: z._default(z.boolean(), false).register(fieldMeta, {
    section: "LoRA",
    help: "Scale the update by alpha / sqrt(r) in place of alpha / r, for high ranks",
    aliases: ["peft_use_rslora", "rslora"],
  }),
  use_dora: z._default(z.boolean(), false).register(fieldMeta, {
    section: "LoRA",
    help: "Train the magnitude of each output apart from its direction (DoRA): slower, better at low ranks",
    aliases: ["peft_use_dora", "dora"],
  }),
  lora_dropout: z._default(fraction(), 0).register(fieldMeta, {
    section: "LoRA",
    help: "Share of the update's input that a training step leaves out",
  }),
  target_modules: z._default(
    z.union([z.literal("all-linear"), z.array(z.string().check(z.minLength(1))).check(z.minLength(1))]),
    "all-linear",
  ).register(fieldMeta, {
    section: "LoRA",
    help: "Linear layers that get an update: all-linear, or names such as q_proj,v_proj",
    aliases: ["lora_target_modules"],
    placeholder: "NAMES",
  }),
});
