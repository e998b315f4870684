import assert from "node:assert/strict";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { QueuedTracker } from "../../src/job_tracker/queued.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn } from "../helpers/job_disk.ts";

onGpu(
  "a job tells its tracker how it goes, and ends as it does without one when records are down",
  async () => {
    const records = new MemoryJobRecords();
    const events = await Array.fromAsync(
      jobOn(await jobDisk(), { max_steps: 3 }, { tracker: new QueuedTracker(records, "job-1") }).run(),
    );
    const record = (await records.read("job-1"))!;
    assert.deepEqual([record.status, record.progress, record.error], ["completed", 1, null]);
    assert.deepEqual([record.metadata.base_model, record.metadata.total_steps, record.metadata.steps], [
      "base",
      3,
      3,
    ]);
    const down = {
      ...records,
      uri: "down",
      write: () => Promise.reject(new Error("down")),
      close: () => Promise.resolve(),
    };
    const tracker = new QueuedTracker({ ...down, read: () => Promise.resolve(null) }, "job-1", {
      attempts: 2,
      pauseMs: 1,
      closeMs: 100,
    });
    const again = await Array.fromAsync(jobOn(await jobDisk(), { max_steps: 3 }, { tracker }).run());
    assert.deepEqual(again.map(({ type }) => type), events.map(({ type }) => type));
    assert.ok((await tracker.close()).dropped > 0);
  },
);

onGpu("a job that fails tells its tracker why, and a dry run tells nothing", async () => {
  const records = new MemoryJobRecords();
  const tracker = () => new QueuedTracker(records, "job-2", { heartbeatMs: 0 });
  const dry = jobOn(await jobDisk(), { max_steps: 3 }, { tracker: tracker(), dryRun: true });
  await Array.fromAsync(dry.run());
  assert.equal(await records.read("job-2"), null);
  const broken = jobOn(await jobDisk({}, "nonsense\n"), {}, { tracker: tracker() });
  await assert.rejects(Array.fromAsync(broken.run()), { name: "DatasetFormatError" });
  const record = (await records.read("job-2"))!;
  assert.equal(record.status, "failed");
  assert.match(record.error!, /train\.jsonl:1/);
});
