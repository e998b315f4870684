/**
 * Which options the page shows at once, which never, and sets of options under one name.
 *
 * @module
 */
import { CONFIG_FIELDS } from "../src/config.ts";
import type { Wire } from "./protocol/job.ts";

/** What most people change. */
export const BASIC_OPTIONS: readonly string[] = [
  "output_model_name",
  "num_train_epochs",
  "learning_rate",
  "lora_r",
  "lora_alpha",
  "batch_size",
  "max_length",
];

/** Set elsewhere on the page, or of files and services that a page has none of. */
export const HIDDEN_OPTIONS: ReadonlySet<string> = new Set([
  ...CONFIG_FIELDS.filter(({ section }) => ["Job", "Storage", "Tracking"].includes(section))
    .map(({ wireName }) => wireName),
  ...["training_data_path", "eval_data_path", "chat_template_path", "adapter_path"],
  ...["load_in_4bit", "load_in_8bit", "sample_prompts", "output_dir", "overwrite", "resume"],
]);

/** Options that go together. */
export interface Preset {
  readonly title: string;
  readonly options: Wire;
}

/** By name, the quickest first. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map([
  ["quick", {
    title: "Quick look",
    options: { num_train_epochs: 1, learning_rate: 2e-4, lora_r: 8, lora_alpha: 16 },
  }],
  ["balanced", {
    title: "Balanced",
    options: { num_train_epochs: 3, learning_rate: 2e-4, lora_r: 16, lora_alpha: 32 },
  }],
  ["thorough", {
    title: "Thorough",
    options: { num_train_epochs: 5, learning_rate: 1e-4, lora_r: 32, lora_alpha: 64 },
  }],
]);

/** Name of the preset whose options these are; null for none. */
export function presetOf(values: Wire): string | null {
  for (const [name, { options }] of PRESETS) {
    if (Object.entries(options).every(([option, value]) => values[option] === value)) return name;
  }
  return null;
}
