/**
 * Options of the low-rank update.
 *
 * @module
 */

import * as z from "zod/mini";
import { BIASES } from "../lora_kind.ts";
import { fieldMeta, fraction, modules, wanted, wholeNumber } from "../field_types.ts";

const STARTS = "must be true, false, gaussian, orthogonal, pissa, pissa_niter_N or olora";
const PISSA_NITER = /^pissa_niter_\d{1,4}$/;

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
  bias: z._default(z.enum(BIASES), "none").register(fieldMeta, {
    section: "LoRA",
    help: "Biases to train beside the updates: all, or those of maps with one; only some families have any",
  }),
  init_lora_weights: z._default(
    z.union(
      [
        z.boolean(),
        z.enum(["gaussian", "orthogonal", "pissa", "olora"]),
        z.string().check(z.regex(PISSA_NITER, wanted(STARTS))),
      ],
      wanted(STARTS),
    ),
    true,
  ).register(fieldMeta, {
    section: "LoRA",
    help:
      "Start of the update: drawn (true, false, gaussian, orthogonal), or the first part of the base weight " +
      "(pissa, pissa_niter_N for N rounds of a quicker search, olora)",
    placeholder: "WORD",
  }),
  target_modules: z._default(
    modules('must be "all-linear", a list of names or a regular expression'),
    "all-linear",
  )
    .register(fieldMeta, {
      section: "LoRA",
      help:
        "Linear layers that get an update: all-linear, names or paths such as q_proj,v_proj, or a regular expression",
      aliases: ["lora_target_modules"],
      placeholder: "NAMES",
      expression: true,
    }),
  exclude_modules: z._default(z.nullable(modules("must be a list of names or a regular expression")), null)
    .register(fieldMeta, {
      section: "LoRA",
      help: "Those of them that get none after all: names, paths or a regular expression",
      placeholder: "NAMES",
      expression: true,
    }),
  layers_to_transform: z._default(z.nullable(z.array(wholeNumber(0, 65_535)).check(z.minLength(1))), null)
    .register(fieldMeta, {
      section: "LoRA",
      help: "Numbers of the layers whose maps get an update, from 0; all without it",
      placeholder: "N,...",
    }),
  layers_pattern: z._default(z.nullable(z.array(z.string().check(z.minLength(1)))), null).register(
    fieldMeta,
    {
      section: "LoRA",
      help: "What stands before the number of a layer in module paths; any name without it",
      placeholder: "NAMES",
    },
  ),
  modules_to_save: z._default(z.nullable(z.array(z.string().check(z.minLength(1)))), null).register(
    fieldMeta,
    {
      section: "LoRA",
      help: "Modules that are trained themselves and saved whole, such as lm_head,embed_tokens",
      placeholder: "NAMES",
    },
  ),
  rank_pattern: z._default(z.record(z.string(), wholeNumber(1, 4096)), {}).register(fieldMeta, {
    section: "LoRA",
    help:
      "Ranks that differ from lora_r, by names, path ends or regular expressions: q_proj=8,mlp.up_proj=32",
    placeholder: "NAME=N,...",
  }),
  alpha_pattern: z._default(z.record(z.string(), z.number().check(z.gt(0))), {}).register(fieldMeta, {
    section: "LoRA",
    help: "Alphas that differ from lora_alpha, by the same",
    placeholder: "NAME=N,...",
  }),
});
