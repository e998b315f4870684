/**
 * What an optimizer keeps is what is planned, allocated and written into checkpoints.
 */
import assert from "node:assert/strict";
import { readMoments } from "../../src/checkpoint/resume.ts";
import { ParameterPool } from "../../src/nn/parameter_pool.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn, runOn } from "../helpers/job_disk.ts";
import { ofType, summaryOf, type Wire } from "../helpers/job_runs.ts";
import { left } from "../helpers/run_leavings.ts";

const WIRE: Wire = { max_steps: 4, learning_rate: 0.1, logging_steps: 2, sgd_momentum: 0.9 };

onGpu("SGD plans and keeps its momentum alone, AdamW both moments", async ({ gpu }) => {
  for (const [optim, count] of [["sgd", 1], ["adamw_torch", 2]] as const) {
    const root = await jobDisk();
    const createBuffer = gpu.device.createBuffer;
    const allocated = new Map<string, number>();
    gpu.device.createBuffer = (descriptor) => {
      allocated.set(descriptor.label!, (allocated.get(descriptor.label!) ?? 0) + descriptor.size);
      return createBuffer.call(gpu.device, descriptor);
    };
    try {
      const sgd = optim === "sgd" ? {} : { sgd_momentum: 0 };
      const summary = summaryOf(await runOn(root, { ...WIRE, ...sgd, optim }));
      const planned = new Map(summary.memory.map(({ what, bytes }) => [what, bytes]));
      const bytes = planned.get("adapter")!;
      assert.equal(planned.get("optimizer moments"), count * bytes, optim);
      assert.equal(allocated.get("first moments"), bytes);
      assert.equal(allocated.get("second moments"), count === 2 ? bytes : undefined);
      const { m, v } = await readMoments(root.folder("runs/ember/checkpoint-4"));
      assert.ok(m.size > 0 && v.size === (count === 2 ? m.size : 0), `${m.size} and ${v.size}`);
    } finally {
      gpu.device.createBuffer = createBuffer;
    }
  }
});

onGpu("a run with SGD that was stopped goes on to the same bits without second moments", async () => {
  const [straight, stopped] = [await jobDisk(), await jobDisk()];
  const wire = { ...WIRE, optim: "sgd" };
  await runOn(straight, wire);
  const controller = new AbortController(), reason = new Error("stopped by the test");
  await assert.rejects(async () => {
    for await (const event of jobOn(stopped, wire, { signal: controller.signal }).run()) {
      if (event.type === "step") controller.abort(reason);
    }
  }, reason);
  const resumed = await runOn(stopped, { ...wire, resume: "auto" });
  assert.deepEqual(ofType(resumed, "resumed").map(({ step }) => step), [2]);
  assert.deepEqual(await left(stopped, 4), await left(straight, 4));
});

onGpu("moments that are not kept cannot be reached", async ({ gpu }) => {
  const pool = new ParameterPool(gpu);
  const parameter = pool.add("p", [3]);
  pool.momentCount = 1;
  pool.allocate();
  try {
    pool.write(parameter, Float32Array.of(1, 2, 3), "m");
    assert.deepEqual((await pool.read("m")).get("p"), Float32Array.of(1, 2, 3));
    await assert.rejects(pool.read("v"), /^RangeError: Cannot reach moments "v" as the optimizer keeps 1$/);
  } finally {
    pool.destroy();
  }
});
