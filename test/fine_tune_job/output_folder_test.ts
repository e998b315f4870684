import assert from "node:assert/strict";
import { ConfigError, StorageNotFoundError } from "../../src/errors.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn } from "../helpers/job_disk.ts";
import {
  ADAPTER_FILES,
  jobOf,
  jsonl,
  readJson,
  readRows,
  run,
  RUN_FILES,
  summaryOf,
  TEXTS,
  written,
} from "../helpers/job_runs.ts";
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

onGpu("run() refuses a folder that another run writes to, and leaves that run alone", async () => {
  const root = await jobDisk();
  const first = jobOf(root, { max_steps: 3, save: "adapter" }).job.run();
  const events = [];
  for await (const event of first) {
    events.push(event);
    if (event.type !== "step" || event.step !== 1) continue;
    for (const wire of [{ overwrite: true }, { resume: "auto" }]) {
      await assert.rejects(run(root, wire), {
        name: "ConfigError",
        message:
          /^output_dir: another run is writing to "runs\/ember": wait for its end, or choose another output_model_name/,
      });
    }
    assert.equal(summaryOf(await run(root, { overwrite: true }, { dryRun: true })).totalSteps, 3);
  }
  assert.equal(events.at(-1)!.type, "finished");
  assert.equal((await readJson(root.folder("runs/ember"), "run.json")).steps, 3);
  const again = await run(root, { overwrite: true, max_steps: 1 });
  assert.equal(again.at(-1)!.type, "finished");
});

onGpu("run() that is refused leaves no folder behind on a disk", async () => {
  const path = await Deno.makeTempDir();
  try {
    const disk = new LocalFolder(path);
    await writeFile(disk, "train.jsonl", jsonl(TEXTS));
    await writeTinyModel(disk.folder("base"));
    const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    for (const wire of [{ base_model: "nowhere" }, { training_data_path: "none.jsonl" }, { lora_r: 999 }]) {
      await assert.rejects(Array.fromAsync(jobOn(disk, wire).run()));
      assert.deepEqual(names(path), ["base", "train.jsonl"]);
    }
    await Deno.mkdir(`${path}/runs`);
    await assert.rejects(Array.fromAsync(jobOn(disk, { lora_r: 999 }).run()));
    assert.deepEqual(names(`${path}/runs`), []); // it was there before
    await Array.fromAsync(jobOn(disk, { max_steps: 1 }).run());
    assert.ok(!names(`${path}/runs/ember`).includes(".lowrank.lock"));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
