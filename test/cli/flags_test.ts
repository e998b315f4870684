import assert from "node:assert/strict";
import { parseFlags, TRAIN_FLAGS } from "../../src/cli/flags.ts";
import { CONFIG_FIELDS } from "../../src/config.ts";

const parse = (...args: string[]) => parseFlags(args, TRAIN_FLAGS);
const values = (...args: string[]) => {
  const parsed = parse(...args);
  assert.deepEqual(parsed.issues, []);
  return Object.fromEntries(parsed.values);
};
const problems = (...args: string[]) =>
  parse(...args).issues.map(({ path, message }) => `${path} ${message}`);

Deno.test("TRAIN_FLAGS has a flag for every option, and no name twice", () => {
  const names = TRAIN_FLAGS.flatMap(({ name, aliases }) => [name, ...aliases]);
  for (const { wireName } of CONFIG_FIELDS) {
    assert.ok(names.includes(wireName.replaceAll("_", "-")), wireName);
  }
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), []);
});

Deno.test("parseFlags() takes values apart or joined, short names, aliases and underscores", () => {
  assert.deepEqual(values("--lora-r", "8", "--lr=1e-3", "-c", "a.yaml", "-q", "--max_seq_length", "64"), {
    lora_r: "8",
    lr: "1e-3",
    config: "a.yaml",
    quiet: true,
    max_seq_length: "64",
  });
});

Deno.test("parseFlags() leaves underscores of a value alone", () => {
  assert.deepEqual(values("--target_modules=q_proj,v_proj", "--base-model", "my_model"), {
    target_modules: "q_proj,v_proj",
    base_model: "my_model",
  });
});

Deno.test("parseFlags() takes a negative number and, joined, an empty value or one that starts with dashes", () => {
  assert.deepEqual(values("--max-steps", "-1", "--eval-data-path=", "--base-model=--odd--"), {
    max_steps: "-1",
    eval_data_path: "",
    base_model: "--odd--",
  });
});

Deno.test("parseFlags() switches on, off and by word", () => {
  assert.deepEqual(values("--overwrite", "--no-dry-run", "--json=false"), {
    overwrite: true,
    dry_run: false,
    json: false,
  });
  assert.deepEqual(problems("--overwrite=maybe"), [
    '--overwrite must be true or false: current value is "maybe"',
  ]);
});

Deno.test("parseFlags() lists unknown flags with the closest known one", () => {
  assert.deepEqual(problems("--lora-ranks", "8", "--no-lora-r", "--zzzzzz", "-x"), [
    '--lora-ranks is not a flag: did you mean "--lora-rank"?',
    '--no-lora-r is not a flag: did you mean "--lora-r"?',
    "--zzzzzz is not a flag",
    "-x is not a flag",
  ]);
});

Deno.test("parseFlags() notices a forgotten value instead of eating the next flag", () => {
  assert.deepEqual(problems("--base-model", "--overwrite"), ["--base-model needs a value: MODEL"]);
  assert.deepEqual(problems("--seed"), ["--seed needs a value: N"]);
});

Deno.test("parseFlags() returns stray words, and all words after --", () => {
  assert.deepEqual(parse("one", "--seed", "1", "--", "--two").positionals, ["one", "--two"]);
});
