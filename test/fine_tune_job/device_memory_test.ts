import assert from "node:assert/strict";
import { GpuMemoryError, GpuUnavailableError } from "../../src/errors.ts";
import type { FineTuneJobDeps } from "../../src/fine_tune_job.ts";
import { totalBytes } from "../../src/memory_plan.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk } from "../helpers/job_disk.ts";
import { CHATS, jsonl, run, summaryOf, type Wire, written } from "../helpers/job_runs.ts";

onGpu("run() computes activations again as far as the memory limit asks for it", async () => {
  const root = await jobDisk({}, jsonl(CHATS));
  const wire = { batch_size: 8, eval_batch_size: 1 };
  const planned = async (more: Wire) => {
    const { memory, choices } = summaryOf(await run(root, { ...wire, ...more }, { dryRun: true }));
    return { bytes: totalBytes(memory), again: /of (\d) of 2 blocks/.exec(choices.join())?.[1] ?? "0" };
  };
  const none = await planned({}), all = await planned({ gradient_checkpointing: "on" });
  assert.deepEqual([none.again, all.again], ["0", "2"]);
  assert.ok(all.bytes < none.bytes);
  const memory_limit_gb = (none.bytes - 1) / 1e9;
  const fitted = await planned({ memory_limit_gb });
  assert.equal(fitted.again, "1");
  assert.ok(fitted.bytes < none.bytes && fitted.bytes >= all.bytes);
  await assert.rejects(
    run(root, { ...wire, memory_limit_gb, gradient_checkpointing: "off" }),
    /allows \d\S* MB: set gradient_checkpointing to auto$/,
  );
});

onGpu("run() refuses a plan beyond the memory limit and names settings that fit", async () => {
  const root = await jobDisk({}, jsonl(CHATS));
  const wire = { batch_size: 8, eval_batch_size: 3, gradient_checkpointing: "on" };
  const memoryOf = async (more: Wire) =>
    summaryOf(await run(root, { ...wire, ...more }, { dryRun: true })).memory;
  const whole = totalBytes(await memoryOf({}));
  const smallest = totalBytes(await memoryOf({ batch_size: 1, eval_batch_size: 1, max_length: 32 }));
  for (const limit of [whole - 1, 0.7 * whole, (whole + 2 * smallest) / 3, smallest]) {
    const memory_limit_gb = limit / 1e9;
    let named: Wire = {};
    await assert.rejects(run(root, { ...wire, memory_limit_gb }), (error: Error) => {
      assert.ok(error instanceof GpuMemoryError);
      assert.match(
        error.message,
        /needs \d\S* MB on ".+" \(base weights .+\) and memory_limit_gb allows \d\S* MB: set /,
      );
      named = Object.fromEntries(
        [...error.message.matchAll(/(\w+) to (\d+)/g)].map(([, name, value]) => [name, Number(value)]),
      );
      assert.ok(Object.keys(named).length > 0, error.message);
      return true;
    });
    const fitting = totalBytes(await memoryOf({ ...named, memory_limit_gb }));
    assert.ok(fitting <= limit, `${JSON.stringify(named)} takes ${fitting} of ${limit}`);
  }
  await assert.rejects(
    run(root, { ...wire, memory_limit_gb: 1e-6 }),
    /lower lora_r, or use a smaller base model$/,
  );
  assert.deepEqual(await written(root), []);
});

onGpu("run() refuses a software adapter where a hardware GPU is required", async ({ gpu }) => {
  if (!gpu.software) {
    return assert.equal(summaryOf(await run(await jobDisk(), { require_gpu: true })).softwareAdapter, false);
  }
  const root = await jobDisk();
  for (const deps of [{}, { device: undefined }] as Partial<FineTuneJobDeps>[]) {
    await assert.rejects(run(root, { require_gpu: true }, deps), (error: Error) => {
      assert.ok(error instanceof GpuUnavailableError);
      assert.match(
        error.message,
        /^A hardware GPU is required and the adapter is the software adapter ".+"/,
      );
      return true;
    });
  }
  assert.deepEqual(await written(root), []);
});
