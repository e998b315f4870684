import assert from "node:assert/strict";
import { readConfigFile } from "../../src/cli/config_file.ts";
import { fromText, resolveConfig, suspectVariables } from "../../src/cli/sources.ts";
import { ConfigError } from "../../src/errors.ts";

const REQUIRED = { base_model: "m", output_model_name: "n", training_data_path: "t.jsonl" };

function linesOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.issues.map(({ path, message }) => `${path} ${message}`);
  }
  assert.fail("nothing was wrong");
}

Deno.test("resolveConfig() prefers flag over environment over file over default, and says which it was", () => {
  const { config, origins } = resolveConfig({
    flags: { lora_r: "2", lr: "3e-3" },
    env: { LOWRANK_LORA_R: "4", LOWRANK_SEED: "7", LOWRANK_OVERWRITE: "1", HOME: "/root" },
    file: { path: "a.yaml", options: { ...REQUIRED, lora_r: 6, seed: 6, epochs: 6 } },
  });
  assert.deepEqual([config.lora.r, config.training.learningRate], [2, 3e-3]);
  assert.deepEqual([config.training.seed, config.job.overwrite], [7, true]);
  assert.equal(config.training.numTrainEpochs, 6);
  assert.equal(config.training.batchSize, 4);
  assert.equal(origins.get("lora_r"), "--lora-r");
  assert.equal(origins.get("learning_rate"), "--lr");
  assert.equal(origins.get("seed"), "LOWRANK_SEED");
  assert.equal(origins.get("num_train_epochs"), "a.yaml: epochs");
  assert.equal(origins.has("batch_size"), false);
});

Deno.test("resolveConfig() blames the place a wrong value came from", () => {
  assert.deepEqual(
    linesOf(() =>
      resolveConfig({
        flags: { lr: "fast" },
        env: { LOWRANK_LORA_R: "0", LOWRANK_OVERWRITE: "perhaps" },
        file: { path: "a.toml", options: { base_model: 3, output_model_name: "n", epohcs: 1 } },
      })
    ),
    [
      'a.toml: epohcs is not an option: did you mean "epochs"?',
      "a.toml: base_model must be text: current value is 3",
      "--training-data-path is missing",
      'LOWRANK_OVERWRITE must be true or false: current value is "perhaps"',
      "LOWRANK_LORA_R must be at least 1: current value is 0",
      '--lr must be a number: current value is "fast"',
    ],
  );
});

Deno.test("resolveConfig() lets a flag mend a wrong value of the file", () => {
  const options = { ...REQUIRED, quantization: "4bit", lora_r: 0 };
  const file = { path: "a.json", options };
  const { config, origins } = resolveConfig({ flags: { quantization: "none", rank: "8" }, env: {}, file });
  assert.deepEqual([config.quantization.loadIn4bit, config.lora.r], [false, 8]);
  assert.equal(origins.get("load_in_4bit"), "--quantization");
});

Deno.test("fromText() reads text as the option's type and leaves what does not read as it", () => {
  assert.equal(fromText("lora_r", "8"), 8);
  assert.equal(fromText("lr", "2e-4"), 2e-4);
  assert.equal(fromText("seed", ""), "");
  assert.equal(fromText("seed", "8x"), "8x");
  assert.equal(fromText("overwrite", "No"), false);
  assert.equal(fromText("memory_limit_gb", ""), null);
  assert.equal(fromText("base_model", "7"), "7");
  assert.equal(fromText("target_modules", "all-linear"), "all-linear");
  assert.deepEqual(fromText("target_modules", "q_proj, v_proj,"), ["q_proj", "v_proj"]);
  assert.deepEqual(fromText("target_modules", "1.mlp.up_proj"), ["1.mlp.up_proj"]);
  assert.equal(fromText("target_modules", ".*[0-3,9]\\..*"), ".*[0-3,9]\\..*");
  assert.deepEqual(fromText("exclude_modules", "o_proj"), ["o_proj"]);
  assert.deepEqual(fromText("layers_to_transform", "0, 11"), [0, 11]);
  assert.deepEqual(fromText("layers_to_transform", "0-3"), ["0-3"]);
  assert.deepEqual(fromText("rank_pattern", "q_proj=4,mlp.up_proj=8"), { q_proj: 4, "mlp.up_proj": 8 });
});

Deno.test("suspectVariables() warns of misspelt variables and of nothing else", () => {
  const env = {
    LOWRANK_LORA_RR: "1",
    LOWRANK_DEBUG: "1",
    LOWRANK_SEED: "1",
    LOWRANK_SOMETHING_ELSE: "1",
    PATH: "",
  };
  assert.deepEqual(suspectVariables(env), [
    'environment variable LOWRANK_LORA_RR is not an option: did you mean "LOWRANK_LORA_R"?',
  ]);
});

Deno.test("readConfigFile() reads YAML, TOML and JSON alike", async () => {
  const files: Record<string, string> = {
    "a.yaml": "base_model: m\nlearning_rate: 2e-4\nseed: 010\n",
    "a.toml": 'base_model = "m"\nlearning_rate = 2e-4\nseed = 10\n',
    "a.JSON": '{ "base_model": "m", "learning_rate": 2e-4, "seed": 10 }',
  };
  for (const path of Object.keys(files)) {
    const options = await readConfigFile(path, (name) => Promise.resolve(files[name]!));
    assert.deepEqual({ ...options }, { base_model: "m", learning_rate: 2e-4, seed: 10 }, path);
  }
});

Deno.test("readConfigFile() says what is wrong with a file", async () => {
  const read = (path: string, text: string) => readConfigFile(path, () => Promise.resolve(text));
  await assert.rejects(
    read("a.txt", ""),
    /^ConfigError: a\.txt: must end in \.yaml, \.yml, \.toml or \.json/,
  );
  await assert.rejects(read("a.json", "{"), /a\.json: is not valid JSON: /);
  await assert.rejects(read("a.toml", "a = "), /a\.toml: is not valid TOML: /);
  await assert.rejects(read("a.yml", "a: [1"), /a\.yml: is not valid YAML: /);
  await assert.rejects(read("a.yaml", "just words"), /a\.yaml: must hold options such as "base_model"/);
  await assert.rejects(
    readConfigFile("gone.yaml", () => Promise.reject(new Error("no such file\nat x"))),
    (error: Error) =>
      error instanceof ConfigError && error.message === "gone.yaml: cannot be read: no such file",
  );
});

Deno.test("resolveConfig() takes the example below all else where no model, data or name is given", () => {
  const example = {
    base_model: "m",
    training_data_path: "d.jsonl",
    output_model_name: "n",
    batch_size: 16,
    seed: 1,
  };
  const { config, origins } = resolveConfig({
    flags: { batch_size: "8" },
    env: { LOWRANK_SEED: "5" },
    example,
  });
  assert.deepEqual([config.job.baseModel, config.training.batchSize, config.training.seed], ["m", 8, 5]);
  assert.equal(origins.get("base_model"), "bundled example: base_model");
  assert.equal(origins.get("batch_size"), "--batch-size");
  assert.throws(
    () => resolveConfig({ flags: { base_model: "mine" }, env: {}, example }),
    /--training-data-path/, // half a job is a mistake, not the example
  );
});
