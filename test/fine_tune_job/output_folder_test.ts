import assert from "node:assert/strict";
import { ConfigError, StorageNotFoundError } from "../../src/errors.ts";
import { readText } from "../../src/storage.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { ADAPTER_FILES, readJson, readRows, run, RUN_FILES, written } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

onGpu("run() refuses a folder that holds a run, and replaces all of it where overwrite is set", async () => {
  const root = await jobDisk();
  await run(root, { max_steps: 1 });
  await assert.rejects(run(root), (error: Error) => {
    assert.ok(error instanceof ConfigError);
    assert.deepEqual(error.issues, [{
      path: "output_dir",
      message: '"runs/ember" holds files already (metrics.jsonl, report.html, run.json): ' +
        "choose another output_model_name or output_dir, or set overwrite, or resume to go on from a checkpoint",
    }]);
    return true;
  });
  await run(root, { overwrite: true, max_steps: 2, save: "adapter", train_test_split: 0 });
  assert.deepEqual(await written(root), [...RUN_FILES, ...ADAPTER_FILES]);
  const output = root.folder("runs/ember");
  assert.deepEqual((await readRows(output)).map(({ step }) => step), [1, 2]);
  assert.equal((await readJson(output, "run.json")).steps, 2);
});

onGpu("run() leaves an earlier run as it is when the new one does not come to train", async () => {
  const root = await jobDisk();
  await run(root, { max_steps: 1 });
  const before = await readText(root.folder("runs/ember"), "metrics.jsonl");
  const files = await written(root);
  await assert.rejects(
    run(root, { overwrite: true, training_data_path: "nowhere.jsonl" }),
    StorageNotFoundError,
  );
  await assert.rejects(run(root, { overwrite: true, lora_r: 999 }), ConfigError);
  assert.deepEqual(await written(root), files);
  assert.equal(await readText(root.folder("runs/ember"), "metrics.jsonl"), before);
});

onGpu("run() refuses to merge over the model that it trains", async () => {
  const root = await jobDisk();
  await writeTinyModel(root.folder("runs/ember/merged"));
  const wire = { base_model: "./runs/ember/merged/", overwrite: true };
  await assert.rejects(run(root, wire), {
    name: "ConfigError",
    message: /^base_model: "\.\/runs\/ember\/merged\/" is where the merged model goes/,
  });
});
