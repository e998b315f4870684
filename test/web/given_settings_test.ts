import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import own from "../../web/defaults.json" with { type: "json" };
import { linkedSettings, settingsIn, settingsQuery } from "../../web/page/given_settings.ts";
import { JobForm } from "../../web/page/job_form.ts";
import { readRoute } from "../../web/page/router.ts";

/** Options on top of the page's own job. */
const mine = {
  ...own,
  ...{ lora_r: 8, target_modules: ["q_proj", "v_proj"], use_rslora: true, exact_match: false },
  ...{ rank_pattern: { q_proj: 4 }, warmup_steps: undefined, quantization: "4bit", weight_decay: 1e-5 },
};
const secret = {
  ...{ output_model_name: "my-firm", training_data_path: "device/data/mine.jsonl" },
  ...{
    base_model: "picked/theirs",
    sample_prompts: ["What do I earn?"],
    column_mapping: { salary: "prompt" },
  },
};

Deno.test("a link opens the form with the same settings, and holds nothing private", () => {
  const query = settingsQuery({ ...mine, ...secret }, own);
  assert.equal(
    query,
    "lora_r=8&use_rslora=true&target_modules=q_proj%2Cv_proj&rank_pattern=q_proj%3D4&load_in_4bit=true&" +
      "warmup_steps=&weight_decay=0.00001&exact_match=",
  );
  const form = new JobForm({ ...own, quantization: "8bit", lora_alpha: 7 });
  const { options, told } = linkedSettings(query, own);
  form.set(options);
  const { training: _, ...wanted } = parseFineTuneJobConfig({ ...mine });
  const { training, ...found } = parseFineTuneJobConfig(form.values.value);
  assert.deepEqual(found, wanted);
  assert.deepEqual(training, parseFineTuneJobConfig(mine).training);
  assert.equal(told, "8 settings were taken from the link.");
  assert.deepEqual(readRoute(`#/train?${query}`), { view: "train", rest: null });
  assert.equal(settingsQuery(own, own), "");
});

Deno.test("a link sets nothing but settings", () => {
  const query = "lora_r=4&base_model=https://example.org/m&output_dir=x&toString=1&use_rslora=perhaps";
  const form = new JobForm(own), { options, told } = linkedSettings(query, own);
  form.set(options);
  const { lora_r, use_rslora, ...rest } = form.values.value, { lora_r: _, ...before } = own;
  assert.deepEqual([lora_r, use_rslora], [4, "perhaps"]);
  assert.deepEqual(rest, before);
  assert.equal(
    told,
    "2 settings were taken from the link. Left as they are here: base_model, output_dir, toString.",
  );
  assert.match(form.issueOf("use_rslora")!, /perhaps/);
});

Deno.test("a config file of the command line fills the form, YAML or JSON, under any of its names", async () => {
  const yaml =
    "base_model: models/smollm2\nrank: 8\nlearning_rate: 2e-4\nsample_prompts: [Hi]\noutput_model_name: keepers\n";
  const { options, told } = await settingsIn("job.yaml", yaml);
  const form = new JobForm({ ...own, exact_match: true });
  form.set(options);
  const { values } = form;
  assert.deepEqual(
    [values.value.lora_r, values.value.learning_rate, values.value.base_model, values.value.exact_match],
    [8, 2e-4, own.base_model, undefined],
  );
  assert.deepEqual([values.value.output_model_name, values.value.sample_prompts], ["keepers", ["Hi"]]);
  assert.equal(told, "4 settings were taken from job.yaml. Left as they are here: base_model.");
  assert.equal((await settingsIn("job.json", '{"lora_r": 3}')).options.lora_r, 3);
  await assert.rejects(settingsIn("job.yaml", "lorar: 8"), /lorar: is not an option.*lora_r/);
  await assert.rejects(settingsIn("job.json", "{"), /job\.json: is not valid JSON/);
  await assert.rejects(settingsIn("job.yaml", "- 1"), /job\.yaml: must hold options/);
  await assert.rejects(
    settingsIn("job.toml", "lora_r = 8"),
    /job\.toml: must end in \.yaml, \.yml or \.json/,
  );
});
