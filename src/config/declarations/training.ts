/**
 * Options of data, training and evaluation.
 *
 * @module
 */

import * as z from "zod/mini";
import {
  fieldMeta,
  fraction,
  MAX_STEPS,
  path,
  stepsOrShare,
  wanted,
  wholeNumber,
  wordOrPlugin,
} from "../field_types.ts";
import { SCHEDULE_TYPES } from "../scheduler_kwargs.ts";

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
    stepsOrShare(),
    0.03,
  ).register(fieldMeta, {
    section: "Training",
    help: "Steps of rising learning rate; below 1 a share of all steps",
    aliases: ["warmup_ratio"],
  }),
  loraplus_lr_ratio: z._default(z.number().check(z.gt(0), z.lte(1e4)), 1).register(fieldMeta, {
    section: "Training",
    help: "LoRA+: how many times as fast as A the factor B learns; 16 is usual, with a lower learning rate",
    aliases: ["loraplus_ratio"],
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
  logging_steps: z._default(stepsOrShare().check(z.gt(0)), 1).register(fieldMeta, {
    section: "Output",
    help: "Steps between two reports; below 1 a share of all steps",
    aliases: ["log_every"],
  }),
  eval_strategy: z._default(z.enum(["no", "steps", "epoch"]), "steps").register(fieldMeta, {
    section: "Training",
    help: "Evaluations between that before and that after: every eval_steps, after every epoch, or none",
    aliases: ["evaluation_strategy"],
  }),
  eval_steps: z._default(stepsOrShare(), 0).register(fieldMeta, {
    section: "Training",
    help: "Steps between two evaluations, below 1 a share of all steps; 0 evaluates before and after only",
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
  sample_prompts: z._default(z.array(z.string().check(z.minLength(1))), []).register(fieldMeta, {
    section: "Output",
    help: "Prompts of your own, answered with the held-out ones; of a model that chats, what a user says",
    aliases: ["sample_prompt"],
    placeholder: "TEXT",
    repeats: true,
    lines: true,
  }),
  sample_steps: z._default(stepsOrShare(), 0).register(fieldMeta, {
    section: "Output",
    help: "Steps between two rounds of answers, below 1 a share of all steps; 0 asks before and after only",
    aliases: ["sample_every"],
  }),
  exact_match: z._default(z.boolean(), false).register(fieldMeta, {
    section: "Output",
    help: "Answer every held-out prompt before and after training and count exact answers",
  }),
  data_format: z._default(
    wordOrPlugin([
      "auto",
      "text",
      "messages",
      "instruction",
      "input_output",
      "prompt_completion",
      "sharegpt",
    ]),
    "auto",
  ).register(fieldMeta, {
    section: "Data",
    pluginPart: "dataFormats",
    help: "How to read the examples; auto goes by the first one of each file",
    aliases: ["format"],
  }),
  column_mapping: z._default(z.nullable(z.record(z.string(), z.string())), null).register(fieldMeta, {
    section: "Data",
    help: "Columns by other names than the format's: prompt=question,completion=answer",
    placeholder: "NAME=COLUMN,...",
  }),
  on_bad_line: z._default(z.enum(["fail", "skip"]), "fail").register(fieldMeta, {
    section: "Data",
    help: "Refuse data with lines that cannot be used, or leave those lines out and tell which",
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
  eval_packing: z._default(z.nullable(z.boolean()), null).register(fieldMeta, {
    section: "Data",
    help: "Pack the rows of evaluations, too",
    defaultText: "as packing",
  }),
  chat_template_path: z._default(z.nullable(path()), null).register(fieldMeta, {
    section: "Data",
    help: "Jinja file to use in place of the model's chat template",
    aliases: ["chat_template"],
    placeholder: "PATH",
  }),
});
