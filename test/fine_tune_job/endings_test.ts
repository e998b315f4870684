import assert from "node:assert/strict";
import { DivergedError } from "../../src/errors.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { jobOf, readJson, readRows, run, RUN_FILES, written } from "../helpers/job_runs.ts";

/** With this strength the first update lifts the activations out of f32's range. */
const ABSURD = { lora_alpha: 1e16, learning_rate: 10, lr_scheduler_type: "constant", max_grad_norm: 0 };

onGpu("run() that diverges is failed, with the error on record and no adapter", async () => {
  const root = await jobDisk();
  const wire = { ...ABSURD, max_steps: 5, train_test_split: 0 };
  let message = "";
  await assert.rejects(run(root, wire), (error: Error) => {
    assert.ok(error instanceof DivergedError);
    assert.equal(error.step, 2);
    message = error.message;
    return true;
  });
  assert.deepEqual(await written(root), RUN_FILES);
  const { status, error, steps, finished_at } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error, steps], ["failed", message, 1]);
  assert.ok(Date.parse(finished_at) > 0);
  assert.deepEqual((await readRows(root.folder("runs/ember"))).map(({ step }) => step), [1]);
});

onGpu("run() that is aborted is cancelled, with the signal's reason and no adapter", async () => {
  const root = await jobDisk();
  const controller = new AbortController();
  const { job } = jobOf(root, { max_steps: 50 }, { signal: controller.signal });
  const reason = new Error("asked to stop");
  await assert.rejects(async () => {
    for await (const event of job.run()) {
      if (event.type === "step" && event.step === 2) controller.abort(reason);
    }
  }, reason);
  assert.deepEqual(await written(root), RUN_FILES);
  const { status, error, steps } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error, steps], ["cancelled", "asked to stop", 2]);
});

onGpu("run() whose events nobody asks for any more is cancelled", async () => {
  const root = await jobDisk();
  for await (const event of jobOf(root, { max_steps: 50 }).job.run()) if (event.type === "step") break;
  const { status, error } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error], ["cancelled", null]);
});
