/**
 * Every option of a fine-tuning job, declared once: type, bounds, default, help text, section of the help, aliases.
 * Keys are wire names: what files, REST bodies and (in kebab-case) flags say. Flags, `--help`, environment,
 * file loading, JSON Schema and forms are derived from here.
 *
 * Names follow PEFT, TRL and transformers 5 where they have the option.
 *
 * @module
 */

import * as z from "zod/mini";
import { fieldMeta, fraction, MAX_STEPS, onlyFor, path, paths, wanted, wholeNumber } from "./field_types.ts";
import { SCHEDULE_TYPES } from "./scheduler_kwargs.ts";

/** What to train on what, and where the results go. */
export const jobSchema = z.strictObject({
  base_model: path().register(fieldMeta, {
    section: "Job",
    help: "Base model: a folder with config.json, tokenizer.json and *.safetensors, or a GGUF file",
    aliases: ["model", "model_name_or_path"],
    placeholder: "PATH",
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
      "Training data: JSON Lines, JSON, CSV or Parquet; several files by commas or a pattern such as data/*.jsonl",
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
  save_steps: z._default(wholeNumber(0, MAX_STEPS), 0).register(fieldMeta, {
    section: "Output",
    help: "Steps between two checkpoints; 0 leaves it to the minutes, the end and an interruption",
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
  memory_limit_gb: z._default(z.nullable(z.number().check(z.gt(0))), null).register(fieldMeta, {
    section: "Device",
    help: "Refuse a run whose memory plan is larger than this many GB (10^9 bytes)",
    aliases: ["memory_limit"],
    placeholder: "GB",
  }),
});

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

/** How frozen base weights are stored on the GPU; embeddings, head and norms keep their precision. */
export const quantizationSchema = z.strictObject({
  load_in_4bit: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Quantization",
    help: "Keep the linear maps of the base model in 4 bits (NF4)",
  }),
  load_in_8bit: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Quantization",
    help: "Keep the linear maps of the base model in 8 bits, a scale a row",
  }),
  quant_type: z._default(z.enum(["nf4"]), "nf4").register(fieldMeta, {
    section: "Quantization",
    help: "4-bit code",
    aliases: ["bnb_4bit_quant_type"],
  }),
  double_quant: z._default(z.boolean(), true).register(fieldMeta, {
    section: "Quantization",
    help: "Quantise the scales of 4-bit weights too: 4.13 bits a weight in place of 4.5",
    aliases: ["bnb_4bit_use_double_quant"],
  }),
  compute_dtype: z._default(z.enum(["f32"]), "f32").register(fieldMeta, {
    section: "Quantization",
    help: "Element type of the arithmetic",
    aliases: ["bnb_4bit_compute_dtype"],
  }),
});

/** How long and how fast to learn. Defaults are for LoRA on small models, not for full fine-tuning. */
export const trainingSchema = z.strictObject({
  num_train_epochs: z._default(z.number().check(z.gt(0), z.lte(10_000)), 3).register(fieldMeta, {
    section: "Training",
    help: "Passes over the training data",
    aliases: ["epochs", "num_epochs", "n_epochs"],
  }),
  max_steps: z._default(
    z.int().check(
      z.refine((steps) => steps === -1 || steps >= 1, wanted("must be -1 or at least 1")),
      z.lte(MAX_STEPS),
    ),
    -1,
  ).register(fieldMeta, {
    section: "Training",
    help: "Optimizer steps; -1 leaves it to the epochs",
    aliases: ["iters"],
  }),
  max_length: z._default(wholeNumber(2, 1 << 20), 512).register(fieldMeta, {
    section: "Data",
    help: "Longest example in tokens; longer ones are cut",
    aliases: ["max_seq_length", "cutoff_len", "sequence_len"],
  }),
  allow_special_tokens: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Data",
    help: "Let the text of special tokens inside messages be those tokens, not text",
  }),
  batch_size: z._default(wholeNumber(1, 65_535), 4).register(fieldMeta, {
    section: "Training",
    help: "Examples of one forward and backward pass",
    aliases: ["per_device_train_batch_size", "micro_batch_size"],
  }),
  eval_batch_size: z._default(wholeNumber(1, 65_535), 4).register(fieldMeta, {
    section: "Training",
    help: "Examples of one forward pass of an evaluation",
    aliases: ["per_device_eval_batch_size"],
  }),
  gradient_accumulation_steps: z._default(wholeNumber(1, 65_535), 1).register(fieldMeta, {
    section: "Training",
    help: "Passes whose gradients are summed before a step",
    aliases: ["grad_accum", "grad_accumulation_steps"],
  }),
  gradient_checkpointing: z._default(z.enum(["auto", "on", "off"]), "auto").register(fieldMeta, {
    section: "Device",
    help:
      "Compute activations again in the backward pass to save memory; auto does it for as few blocks as fit",
    aliases: ["use_gradient_checkpointing"],
  }),
  learning_rate: z._default(z.number().check(z.gte(0), z.lte(10)), 2e-4).register(fieldMeta, {
    section: "Training",
    help: "Largest learning rate of the schedule",
    aliases: ["lr"],
  }),
  lr_scheduler_type: z._default(z.enum(SCHEDULE_TYPES), "cosine").register(fieldMeta, {
    section: "Training",
    help: "Course of the learning rate after the warm-up",
    aliases: ["lr_scheduler"],
  }),
  lr_scheduler_kwargs: z._default(
    z.record(z.string(), z.union([z.number(), z.boolean(), z.string()])),
    {},
  ).register(fieldMeta, {
    section: "Training",
    help: "Options of the schedule, as transformers and torch name them, such as num_cycles=2",
    placeholder: "NAME=VALUE,…",
  }),
  warmup_steps: z._default(
    z.number().check(
      z.gte(0),
      z.lte(MAX_STEPS),
      z.refine(
        (steps) => steps < 1 || Number.isInteger(steps),
        wanted("must be below 1 (a share) or a whole number of steps"),
      ),
    ),
    0.03,
  ).register(fieldMeta, {
    section: "Training",
    help: "Steps of rising learning rate; below 1 a share of all steps",
    aliases: ["warmup_ratio"],
  }),
  weight_decay: z._default(z.number().check(z.gte(0), z.lte(1)), 0).register(fieldMeta, {
    section: "Training",
    help: "Weight decay: decoupled for AdamW, part of the gradient for SGD, as in torch",
  }),
  optim: z._default(z.enum(["adamw_torch", "sgd"]), "adamw_torch").register(fieldMeta, {
    section: "Training",
    help: "Optimizer",
    aliases: ["optimizer"],
  }),
  sgd_momentum: z._default(fraction(), 0).register(fieldMeta, {
    section: "Training",
    help: "Momentum of SGD",
    aliases: ["momentum"],
  }),
  sgd_nesterov: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Training",
    help: "Nesterov's form of SGD's momentum",
    aliases: ["nesterov"],
  }),
  adam_beta1: z._default(fraction(), 0.9).register(fieldMeta, {
    section: "Training",
    help: "Decay of AdamW's first moment",
  }),
  adam_beta2: z._default(fraction(), 0.999).register(fieldMeta, {
    section: "Training",
    help: "Decay of AdamW's second moment",
  }),
  adam_epsilon: z._default(z.number().check(z.gt(0)), 1e-8).register(fieldMeta, {
    section: "Training",
    help: "Added to the root of AdamW's second moment",
  }),
  max_grad_norm: z._default(z.number().check(z.gte(0)), 1).register(fieldMeta, {
    section: "Training",
    help: "Longest gradient (L2 over all tensors); 0 turns clipping off",
  }),
  neftune_noise_alpha: z._default(z.nullable(z.number().check(z.gt(0))), null).register(fieldMeta, {
    section: "Training",
    help: "Strength of noise on embedded tokens while training (NEFTune); 5 is usual",
    placeholder: "N",
  }),
  seed: z._default(wholeNumber(0, 2 ** 32 - 1), 42).register(fieldMeta, {
    section: "Training",
    help: "Seed of initial weights, shuffling, split and noise",
  }),
  train_test_split: z._default(fraction(), 0.1).register(fieldMeta, {
    section: "Data",
    help: "Share of the training data held out for evaluation; 0 holds out nothing",
    aliases: ["val_set_size"],
  }),
  logging_steps: z._default(wholeNumber(1, MAX_STEPS), 1).register(fieldMeta, {
    section: "Output",
    help: "Steps between two reports",
    aliases: ["log_every"],
  }),
  eval_strategy: z._default(z.enum(["no", "steps", "epoch"]), "steps").register(fieldMeta, {
    section: "Training",
    help: "Evaluations between that before and that after: every eval_steps, after every epoch, or none",
    aliases: ["evaluation_strategy"],
  }),
  eval_steps: z._default(wholeNumber(0, MAX_STEPS), 0).register(fieldMeta, {
    section: "Training",
    help: "Steps between two evaluations; 0 evaluates before and after only",
    aliases: ["eval_every"],
  }),
  metric_for_best_model: z._default(z.enum(["eval_loss", "eval_mean_token_accuracy"]), "eval_loss")
    .register(fieldMeta, {
      section: "Training",
      help: "What tells the best evaluation",
    }),
  load_best_model_at_end: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Training",
    help: "Keep a checkpoint of the best evaluation and save its weights, not the last ones",
  }),
  early_stopping_patience: z._default(wholeNumber(0, MAX_STEPS), 0).register(fieldMeta, {
    section: "Training",
    help: "Evaluations in a row without a better metric that end the run; 0 never ends it early",
    aliases: ["early_stopping_steps"],
  }),
  early_stopping_threshold: z._default(z.number().check(z.gte(0)), 0).register(fieldMeta, {
    section: "Training",
    help: "By how much a metric must be better to count for early stopping",
  }),
  loss_watchdog_threshold: z._default(z.nullable(z.number().check(z.gt(0))), null).register(fieldMeta, {
    section: "Training",
    help: "Loss in nats beyond which a run has diverged",
    placeholder: "NATS",
    defaultText: "twice that of guessing, and twice the least so far",
  }),
  loss_watchdog_patience: z._default(wholeNumber(0, MAX_STEPS), 3).register(fieldMeta, {
    section: "Training",
    help: "Reports in a row beyond the threshold that fail a run; 0 lets it go on",
  }),
  report_to: z._default(z.enum(["none", "tensorboard"]), "none").register(fieldMeta, {
    section: "Output",
    help: "Write TensorBoard's event files too, beside metrics.jsonl, trainer_state.json and report.html",
    aliases: ["log_to"],
  }),
  num_generation_samples: z._default(wholeNumber(0, 100), 0).register(fieldMeta, {
    section: "Output",
    help: "Held-out prompts answered before and after training and shown side by side",
    aliases: ["samples"],
  }),
  sample_steps: z._default(wholeNumber(0, MAX_STEPS), 0).register(fieldMeta, {
    section: "Output",
    help: "Steps between two rounds of answers; 0 asks before and after only",
    aliases: ["sample_every"],
  }),
  exact_match: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Output",
    help: "Answer every held-out prompt before and after training and count exact answers",
  }),
  data_format: z._default(
    z.enum(["auto", "text", "messages", "instruction", "input_output", "prompt_completion", "sharegpt"]),
    "auto",
  ).register(fieldMeta, {
    section: "Data",
    help: "How to read the examples; auto goes by the first one of each file",
    aliases: ["format"],
  }),
  column_mapping: z._default(z.nullable(z.record(z.string(), z.string())), null).register(fieldMeta, {
    section: "Data",
    help: "Columns by other names than the format's: prompt=question,completion=answer",
    placeholder: "NAME=COLUMN,...",
  }),
  train_on: z._default(z.enum(["completions", "all", "last"]), "completions").register(fieldMeta, {
    section: "Data",
    help: "What is learnt: every answer, prompts too, or the last answer; plain text is learnt whole",
  }),
  packing: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Data",
    help: "Put short examples into one row of max_length tokens, each apart from the others",
    aliases: ["sample_packing"],
  }),
  chat_template_path: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "Data",
    help: "Jinja file to use in place of the model's chat template",
    aliases: ["chat_template"],
    placeholder: "PATH",
  }),
});

/** The four groups of a job's configuration, by the name under which TypeScript sees them. */
export const groupSchemas = {
  job: jobSchema,
  lora: loraSchema,
  quantization: quantizationSchema,
  training: trainingSchema,
};
/** Name of a group. */
export type GroupName = keyof typeof groupSchemas;
