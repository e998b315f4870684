import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import * as lowrank from "lowrank";
import { writeTinyModel } from "./helpers/tiny_model.ts";

Deno.test("the package exports a job, its parts, every error and its version", () => {
  assert.equal(typeof lowrank.createFineTuneJob, "function");
  for (
    const part of [lowrank.ModelManager, lowrank.DataManager, lowrank.ModelTrainer, lowrank.MemoryFolder]
  ) {
    assert.equal(typeof part, "function");
  }
  assert.ok(new lowrank.DivergedError("x", 1) instanceof Error);
  assert.equal(lowrank.VERSION, manifest.version);
});

Deno.test("a job made from the package alone lists what is wrong with its data before it opens a GPU", async () => {
  const folders = new Map<string, lowrank.MemoryFolder>();
  const files = (uri: string) => {
    const name = uri.replace(/^\.\/|\/$/g, "");
    const folder = folders.get(name) ?? new lowrank.MemoryFolder(name);
    folders.set(name, folder);
    return folder;
  };
  await writeTinyModel(files("model"));
  await lowrank.writeFile(files("data"), "train.jsonl", '{"text": 3}\nnonsense\n');
  const config = lowrank.parseFineTuneJobConfig({
    base_model: "model",
    output_model_name: "out",
    training_data_path: "data/train.jsonl",
  });
  const run = async () => {
    for await (const event of lowrank.createFineTuneJob(config, { files }).run()) {
      assert.equal(event.type, "phase");
    }
  };
  await assert.rejects(run, (error) => {
    assert.ok(error instanceof lowrank.DatasetFormatError);
    assert.deepEqual(error.issues.map(({ line }) => line), [1, 2]);
    return true;
  });
});
