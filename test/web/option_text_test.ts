import assert from "node:assert/strict";
import { CONFIG_FIELDS, parseFineTuneJobConfig } from "../../src/config.ts";
import { readOption, titleOf, writeOption } from "../../web/page/option_text.ts";

const field = (name: string) => CONFIG_FIELDS.find(({ wireName }) => wireName === name)!;

Deno.test("readOption() takes back what writeOption() wrote, for every kind of option", () => {
  const values: Readonly<Record<string, unknown>> = {
    learning_rate: 2e-4,
    lr_scheduler_type: "cosine",
    target_modules: ["q_proj", "v_proj"],
    layers_to_transform: [0, 3],
    rank_pattern: { q_proj: 8, "mlp.up_proj": 32 },
    init_lora_weights: false,
    output_model_name: "signals",
  };
  for (const [name, value] of Object.entries(values)) {
    assert.deepEqual(readOption(field(name), writeOption(field(name), value)), value, name);
  }
  assert.equal(readOption(field("target_modules"), "all-linear"), "all-linear");
  assert.equal(readOption(field("target_modules"), ".*\\.(q|v)_proj"), ".*\\.(q|v)_proj");
  assert.equal(readOption(field("memory_limit_gb"), " "), undefined);
});

Deno.test("readOption() leaves what is no number for the declarations to refuse", () => {
  const job = { base_model: "m", training_data_path: "d", output_model_name: "n" };
  assert.throws(
    () => parseFineTuneJobConfig({ ...job, lora_r: readOption(field("lora_r"), "many") }),
    /lora_r: must be .*"many"/,
  );
});

Deno.test("titleOf() reads a wire name as words", () => {
  assert.deepEqual(["lora_r", "lr_scheduler_type", "num_train_epochs"].map(titleOf), [
    "LoRA r",
    "Learning rate scheduler type",
    "Train epochs",
  ]);
});
