/**
 * Options of the files and the device of a job.
 *
 * @module
 */

import * as z from "zod/mini";
import { storageFields } from "./storage.ts";
import { trackingFields } from "./tracking.ts";
import {
  fieldMeta,
  MAX_STEPS,
  path,
  paths,
  stepsOrShare,
  wanted,
  wholeNumber,
  wordOrPlugin,
} from "../field_types.ts";

/** What to train on what, and where the results go. */
export const jobSchema = z.strictObject({
  base_model: path().register(fieldMeta, {
    section: "Job",
    help: "Base model: a folder, a GGUF file, OWNER/NAME on the Hub, or a URI (hf, gs, s3, az)",
    aliases: ["model", "model_name_or_path"],
    placeholder: "MODEL",
  }),
  output_model_name: z.string().check(
    z.maxLength(96),
    z.regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
      wanted("must be letters, digits, '.', '_' or '-' and start with a letter or digit"),
    ),
  ).register(fieldMeta, {
    section: "Job",
    help: "Name of the new model; names the default output folder",
    aliases: ["output_name"],
    placeholder: "NAME",
  }),
  training_data_path: paths().register(fieldMeta, {
    section: "Data",
    help:
      "Training data: JSON Lines, JSON, CSV or Parquet; files by commas, a pattern (data/*.jsonl) or hf://datasets/OWNER/NAME",
    aliases: ["data", "train_data"],
    placeholder: "PATHS",
  }),
  eval_data_path: z._default(z.nullable(paths()), null).register(fieldMeta, {
    section: "Data",
    help: "Evaluation data; without it a share of the training data is held out",
    aliases: ["eval_data"],
    placeholder: "PATHS",
  }),
  output_dir: z.optional(path()).register(fieldMeta, {
    section: "Output",
    help: "Folder for adapter, merged model and logs",
    placeholder: "PATH",
    defaultText: "runs/<output-model-name>",
  }),
  adapter_path: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "LoRA",
    help: "PEFT adapter folder to continue from",
    aliases: ["adapter"],
    placeholder: "PATH",
  }),
  adapter_name: z._default(
    z.string().check(
      z.maxLength(96),
      z.regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]*$/,
        wanted("must be letters, digits, '.', '_' or '-' and start with a letter or digit"),
      ),
    ),
    "default",
  ).register(fieldMeta, {
    section: "Output",
    help:
      "Name of the adapter; any but default is saved in a folder of that name below adapter, as PEFT does",
    placeholder: "NAME",
  }),
  save: z._default(z.enum(["adapter", "merged", "both"]), "both").register(fieldMeta, {
    section: "Output",
    help: "What to write at the end",
  }),
  merge_base: z._default(z.enum(["quantized", "original"]), "quantized").register(fieldMeta, {
    section: "Output",
    help:
      "What load_in_4bit and load_in_8bit merge onto: the quantised values that were trained on, or the model's own",
  }),
  resume: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "Output",
    help: "Go on from a checkpoint in the output folder; auto takes the newest whole one, or starts anew",
    aliases: ["resume_from_checkpoint"],
    placeholder: "auto|PATH",
  }),
  save_steps: z._default(stepsOrShare(), 0).register(fieldMeta, {
    section: "Output",
    help:
      "Steps between two checkpoints, below 1 a share of all; 0 leaves it to the minutes, the end and an interruption",
    aliases: ["save_every"],
  }),
  save_minutes: z._default(z.number().check(z.gte(0), z.lte(1e6)), 5).register(fieldMeta, {
    section: "Output",
    help: "Minutes between two checkpoints; 0 leaves it to the steps, the end and an interruption",
  }),
  save_total_limit: z._default(wholeNumber(1, MAX_STEPS), 2).register(fieldMeta, {
    section: "Output",
    help: "Checkpoints to keep; older ones are removed",
    aliases: ["keep_checkpoints"],
  }),
  overwrite: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Output",
    help: "Use the output folder even if it holds files",
  }),
  gpu: z._default(z.string().check(z.minLength(1), z.maxLength(200)), "high-performance").register(
    fieldMeta,
    {
      section: "Device",
      help: "Which of several GPUs computes: by its power, or by a part of its name as doctor tells it",
      placeholder: "high-performance|low-power|NAME",
    },
  ),
  require_gpu: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Device",
    help: "Refuse adapters that compute on the CPU",
  }),
  variant: z._default(
    z.enum([
      "auto",
      "llvmpipe",
      "llvmpipe_wide",
      "software",
      "hardware",
      "register64",
      "shared64",
      "shared128",
      "shared_half",
      "subgroup",
    ]),
    "auto",
  ).register(fieldMeta, {
    section: "Device",
    help: "Form of the kernels; auto measures what the adapter is fastest at",
    aliases: ["kernel_variant"],
  }),
  retune: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Device",
    help: "Measure the adapter again, whatever earlier runs found",
  }),
  max_device_recoveries: z._default(wholeNumber(0, 1000), 3).register(fieldMeta, {
    section: "Device",
    help: "Lost GPUs that a run replaces, going on from its last checkpoint, before it fails",
  }),
  memory_limit_gb: z._default(z.nullable(z.number().check(z.gt(0))), null).register(fieldMeta, {
    section: "Device",
    help: "Refuse a run whose memory plan is larger than this many GB (10^9 bytes)",
    aliases: ["memory_limit"],
    placeholder: "GB",
  }),
  ...storageFields,
  plugins: z._default(z.array(path()), []).register(fieldMeta, {
    section: "Job",
    help: "Files of plugins to load: TypeScript or JavaScript that may do what this command may",
    aliases: ["plugin"],
    placeholder: "FILE",
    repeats: true,
  }),
  trainer: z._default(wordOrPlugin(["lowrank"]), "lowrank").register(fieldMeta, {
    section: "Training",
    help: "What trains: Lowrank itself, or the trainer of a plugin",
    pluginPart: "trainers",
    placeholder: "NAME",
  }),
  ...trackingFields,
});
