import assert from "node:assert/strict";
import { DivergedError } from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
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

onGpu("run() that is told to finish ends with what a run of so many steps saves, and can go on", async () => {
  const steady = { lr_scheduler_type: "constant", warmup_ratio: 0, train_test_split: 0.2, save: "adapter" };
  const [root, short] = [await jobDisk(), await jobDisk()];
  const controller = new AbortController();
  const { job } = jobOf(root, { ...steady, max_steps: 50 }, { finish: controller.signal });
  const events: TrainingEvent[] = [];
  for await (const event of job.run()) {
    events.push(event);
    if (event.type === "step" && event.step === 1) controller.abort();
  }
  assert.deepEqual(events.flatMap((event) => event.type === "step" ? event.step : []), [1, 2]);
  assert.deepEqual(events.flatMap((event) => event.type === "evaluated" ? event.step : []).at(-1), 2);
  const { status, steps, total_steps, eval_loss_after } = await readJson(
    root.folder("runs/ember"),
    "run.json",
  );
  assert.deepEqual([status, steps, total_steps], ["completed", 2, 50]);
  await run(short, { ...steady, max_steps: 2 });
  assert.equal(eval_loss_after, (await readJson(short.folder("runs/ember"), "run.json")).eval_loss_after);
  const bytes = async (disk: MemoryFolder) => {
    const file = await disk.folder("runs/ember/adapter").open("adapter_model.safetensors");
    return [...await file.read(0, file.size)];
  };
  assert.deepEqual(await bytes(root), await bytes(short));
  await run(root, { ...steady, max_steps: 4, resume: "auto" });
  assert.deepEqual((await readRows(root.folder("runs/ember"))).map(({ step }) => step), [0, 1, 2, 3, 4]);
});

onGpu("run() whose events nobody asks for any more is cancelled", async () => {
  const root = await jobDisk();
  for await (const event of jobOf(root, { max_steps: 50 }).job.run()) if (event.type === "step") break;
  const { status, error } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error], ["cancelled", null]);
});
