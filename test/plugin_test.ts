import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../src/config.ts";
import { ROW_FORMATS, type RowFormat } from "../src/data/formats.ts";
import { createFineTuneJob } from "../src/fine_tune_job.ts";
import { MODEL_FAMILIES } from "../src/models/registry.ts";
import { definePlugin, type Plugin, pluginIssues, withPlugins } from "../src/plugin.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import type { Trainer } from "../src/training_session.ts";

const verse: RowFormat = {
  name: "verse",
  needs: ["verse"],
  sample: '{"verse": "..."}',
  parse: ({ verse }) => ({ example: { kind: "text", text: String(verse) }, warnings: [] }),
};
const idle: Trainer = { name: "idle", async *train() {} };
const JOB = { base_model: "b", output_model_name: "o", training_data_path: "t.jsonl" };
const plugin = (parts: Partial<Plugin>) => definePlugin({ apiVersion: 1, name: "mine", ...parts });
const messages = (error: unknown) =>
  (error as { issues: { message: string }[] }).issues.map(({ message }) => message);

Deno.test("withPlugins() puts formats before Lowrank's, and adds the rest", () => {
  const llama = MODEL_FAMILIES.get("llama")!, ours = { ...llama, modelType: "ours" };
  const all = withPlugins([plugin({ dataFormats: [verse], modelFamilies: [ours], trainers: [idle] })]);
  assert.deepEqual(all.dataFormats, [verse, ...ROW_FORMATS]);
  assert.equal(all.modelFamilies.get("ours"), ours);
  assert.equal(all.modelFamilies.get("llama"), llama);
  assert.deepEqual(all.trainers, [idle]);
  assert.equal(MODEL_FAMILIES.has("ours"), false);
});

Deno.test("withPlugins() refuses names that are taken, by whom they are", () => {
  const text = { ...verse, name: "text" },
    store = { schemes: ["x"], open: () => Promise.reject(new Error()) };
  const tracker = { name: "none", open: () => Promise.reject(new Error()) };
  const first = plugin({ dataFormats: [text], trackers: [tracker] });
  const others = ["a", "b"].map((name) => definePlugin({ apiVersion: 1, name, storage: [store] }));
  assert.throws(() => withPlugins([first, ...others]), (error) => {
    assert.deepEqual(messages(error), [
      '"mine" brings the data format "text", which Lowrank has already',
      '"b" brings the storage backend "x", which a has already',
      '"mine" brings the tracker "none", which Lowrank has already',
    ]);
    return true;
  });
});

Deno.test("pluginIssues() says what keeps a value from being a plugin", () => {
  const told = (value: unknown) =>
    pluginIssues(value, "p.ts").map(({ path, message }) => `${path} ${message}`);
  assert.deepEqual(told(plugin({ dataFormats: [verse], trainers: [idle] })), []);
  assert.match(told(undefined)[0]!, /^p\.ts must export a plugin by default/);
  assert.match(told({ apiVersion: 1 })[0]!, /^p\.ts must have a "name"/);
  assert.match(told({ apiVersion: 2, name: "x" })[0]!, /plugin "x" is for version 2 .* has version 1/);
  assert.deepEqual(
    told({ apiVersion: 1, name: "x", trainer: [], trainers: {}, dataFormats: [{ name: "y", parse: 3 }] }),
    [
      'p.ts plugin "x": "trainer" is no part of one: did you mean "trainers"?',
      'p.ts plugin "x": data format "y" lacks "needs", a list',
      'p.ts plugin "x": data format "y" lacks "sample", a string',
      'p.ts plugin "x": data format "y" lacks "parse", a function',
      'p.ts plugin "x": "trainers" must be a list',
    ],
  );
});

Deno.test("parseFineTuneJobConfig() takes names of plugins where they are handed in", () => {
  const named = { ...JOB, data_format: "verse", trainer: "idle" };
  assert.throws(
    () => parseFineTuneJobConfig(named),
    /trainer: must be lowrank: .*\n.*data_format: must be one of auto, /,
  );
  const { job, training } = parseFineTuneJobConfig(named, [
    plugin({ dataFormats: [verse], trainers: [idle] }),
  ]);
  assert.deepEqual([training.dataFormat, job.trainer], ["verse", "idle"]);
});

Deno.test("createFineTuneJob() refuses plugins that nobody loaded, trainers that nobody brings, options that one refuses", () => {
  const files = () => new MemoryFolder("disk");
  const create = (wire: object, plugins: readonly Plugin[]) =>
    createFineTuneJob(parseFineTuneJobConfig({ ...JOB, ...wire }, [plugin({ trainers: [idle] })]), {
      files,
      plugins,
    });
  assert.throws(() => create({ plugins: ["p.ts"] }, []), /plugins: are files that the command loads/);
  assert.throws(
    () => create({ trainer: "idle" }, []),
    /trainer: must be one of lowrank: current value is "idle"/,
  );
  const refusals = () => [{ path: "packing", message: "no" }];
  const strict = plugin({ trainers: [{ ...idle, refusals }] });
  assert.throws(() => create({ trainer: "idle" }, [strict]), { name: "ConfigError", message: "packing: no" });
});
