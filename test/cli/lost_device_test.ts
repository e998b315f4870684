/**
 * The command with its job in a worker whose device is destroyed in the middle.
 */
import assert from "node:assert/strict";
import { runCommand } from "../../src/cli/run.ts";
import { type JobWorker, WorkerJob } from "../../src/cli/worker_job.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { onGpu } from "../helpers/device.ts";
import { ROWS } from "../helpers/job_disk.ts";
import { readJson } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { fakeIo } from "./fake_io.ts";

/** A run takes seconds; one that stands still is not waited for longer. */
const LIMIT_MS = 120_000;

/** Trains four steps on disk, losing the device after some of them. */
async function train(steps: readonly number[], ...more: string[]) {
  const path = await Deno.makeTempDir({ prefix: "lowrank-lost-" });
  try {
    await writeTinyModel(new LocalFolder(`${path}/base`));
    await Deno.writeTextFile(`${path}/train.jsonl`, ROWS);
    const { io, stdout, stderr } = fakeIo();
    const worker = new URL(`lossy_worker.ts?steps=${steps}`, import.meta.url);
    const workers: Worker[] = [];
    const start = () => {
      workers.push(new Worker(worker, { type: "module" }));
      return workers.at(-1) as unknown as JobWorker;
    };
    const createJob: typeof io.createJob = (config, options) =>
      Promise.resolve(new WorkerJob(config, options, start));
    const places = [
      "--base-model",
      `${path}/base`,
      "--data",
      `${path}/train.jsonl`,
      "--output-dir",
      `${path}/run`,
    ];
    const args = ["--output-model-name", "ember", "--lora-r", "4", "--max-steps", "4", "--save-steps", "2"];
    let timer: ReturnType<typeof setTimeout> | undefined;
    const standstill = new Promise<never>((_, failed) => {
      timer = setTimeout(() => {
        for (const each of workers) each.terminate();
        failed(new Error(`The run stands still after:\n${stdout.text}${stderr.text}`));
      }, LIMIT_MS);
    });
    const running = runCommand(["train", ...places, ...args, ...more], { ...io, createJob });
    const code = await Promise.race([running, standstill]).finally(() => clearTimeout(timer));
    return {
      code,
      out: stdout.text,
      err: stderr.text,
      record: await readJson(new LocalFolder(`${path}/run`), "run.json"),
    };
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

onGpu("train replaces a lost device, tells of it, and exits 0", async () => {
  const { code, out, err, record } = await train([1, 3]);
  assert.equal(code, 0, err);
  assert.match(
    out,
    /warning: The GPU ".+" was lost \(destroyed\): .+; beginning anew .+ \(recovery 1 of 3\)\n/,
  );
  assert.match(out, /; going on from step 2 on another device \(recovery 2 of 3\)\n/);
  assert.match(out, /going on after step 2 from .+checkpoint-2\n[^]*done in .+: 4 steps/);
  assert.deepEqual([record.status, record.device_recoveries.length], ["completed", 2]);
});

onGpu("train that may lose no device exits 5 and says what to do", async () => {
  const { code, err, record } = await train([3], "--max-device-recoveries", "0");
  assert.equal(code, 5);
  assert.match(
    err,
    /^error: The GPU ".+" was lost \(destroyed\): .+ max_device_recoveries is 0: the checkpoint after step 2 is intact, resume auto goes on from it\n$/,
  );
  assert.equal(record.status, "failed");
});
