/**
 * Options of the low-rank update.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta, onlyFor, wholeNumber } from "../field_types.ts";

/** The low-rank update: y = W0 x + scaling · B (A x), scaling = alpha / r. */
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
  lora_dropout: z._default(
    onlyFor(z.number(), 0, "must be 0 as this version has no dropout inside the update"),
    0,
  ).register(fieldMeta, { section: "LoRA", help: "Dropout inside the update; this version takes 0 only" }),
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
