import assert from "node:assert/strict";
import { DISABLED_TRACKER, type JobRecordStore, type JobUpdate } from "../../src/job_tracker.ts";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { QueuedTracker, type QueuedTrackerOptions } from "../../src/job_tracker/queued.ts";

/** Keeps what is written, and fails or waits as it is told. */
class FakeStore implements JobRecordStore {
  readonly uri = "fake";
  readonly updates: JobUpdate[] = [];
  isClosed = false;
  fails: (call: number) => boolean = () => false;
  wait: Promise<void> | null = null;
  #calls = 0;

  async write(_: string, update: JobUpdate): Promise<void> {
    await this.wait;
    if (this.fails(++this.#calls)) throw new Error("store is down");
    this.updates.push(update);
  }

  read(): Promise<null> {
    return Promise.resolve(null);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

function tracker(store: JobRecordStore, options: QueuedTrackerOptions = {}) {
  const warnings: string[] = [];
  let now = 0;
  const warn = (message: string) => void warnings.push(message);
  const tracked = new QueuedTracker(store, "job-1", {
    heartbeatMs: 0,
    pauseMs: 1,
    closeMs: 1000,
    warn,
    now: () => ++now,
    ...options,
  });
  return { tracked, warnings };
}

Deno.test("QueuedTracker writes updates in their order, progress in a row as one", async () => {
  const store = new FakeStore();
  const { tracked, warnings } = tracker(store);
  tracked.markValidating();
  tracked.markRunning({ steps: 4 });
  for (const progress of [0.1, 0.2, 0.3]) tracked.setProgress(progress);
  tracked.markFailed("no more memory");
  assert.deepEqual(store.updates, []);
  assert.deepEqual(await tracked.close(), { written: 4, dropped: 0 });
  assert.deepEqual(store.updates, [
    { progress: 0, error: null, status: "validating", at: 1 },
    { status: "running", metadata: { steps: 4 }, at: 2 },
    { progress: 0.3, at: 5 },
    { error: "no more memory", status: "failed", at: 6 },
  ]);
  assert.deepEqual([warnings, store.isClosed], [[], true]);
  tracked.markCompleted();
  assert.equal((await tracked.close()).written, 4);
});

Deno.test("QueuedTracker tries again, and keeps the order while it does", async () => {
  const store = new FakeStore();
  store.fails = (call) => call === 1 || call === 2 || call === 4;
  const { tracked, warnings } = tracker(store);
  tracked.markRunning();
  tracked.setProgress(0.5);
  tracked.markCompleted();
  assert.deepEqual(await tracked.close(), { written: 3, dropped: 0 });
  assert.deepEqual(store.updates.map(({ status, progress }) => status ?? progress), [
    "running",
    0.5,
    "completed",
  ]);
  assert.deepEqual(warnings, []);
});

Deno.test("QueuedTracker drops what cannot be written, counts it and says so", async () => {
  const store = new FakeStore();
  store.fails = () => true;
  const { tracked, warnings } = tracker(store, { attempts: 2 });
  tracked.markRunning();
  tracked.markCompleted();
  assert.deepEqual(await tracked.close(), { written: 0, dropped: 2 });
  assert.deepEqual(warnings, [
    "job job-1: updates do not reach fake (store is down); the job goes on",
    "job job-1: 2 updates did not reach fake; the job is not affected",
  ]);
});

Deno.test("QueuedTracker keeps a bounded line, and lets progress go before states", async () => {
  const store = new FakeStore();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.wait = promise;
  const { tracked, warnings } = tracker(store, { capacity: 3 });
  tracked.markValidating();
  await Promise.resolve();
  await Promise.resolve();
  tracked.setProgress(0.1);
  tracked.markRunning();
  tracked.setProgress(0.2);
  tracked.markRunning({ again: true });
  tracked.setProgress(0.3);
  tracked.markCompleted();
  resolve();
  const { written, dropped } = await tracked.close();
  assert.deepEqual([written, dropped], [4, 3]);
  assert.deepEqual(store.updates.map(({ status }) => status), [
    "validating",
    "running",
    "running",
    "completed",
  ]);
  assert.match(warnings[0]!, /they come faster than they are written/);
});

Deno.test("QueuedTracker does not wait for a store that hangs", async () => {
  const store = new FakeStore();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.wait = promise;
  const { tracked, warnings } = tracker(store, { closeMs: 20 });
  tracked.markRunning();
  tracked.setProgress(0.5);
  const before = performance.now();
  assert.deepEqual(await tracked.close(), { written: 0, dropped: 2 });
  assert.ok(performance.now() - before < 1000);
  assert.match(warnings[0]!, /2 updates did not reach fake/);
  resolve();
});

Deno.test("QueuedTracker gives signs of life", async () => {
  const store = new FakeStore();
  const { tracked } = tracker(store, { heartbeatMs: 5 });
  tracked.markRunning();
  while (store.updates.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(Object.keys(store.updates[2]!), ["at"]);
  await tracked.close();
});

Deno.test("trackers refuse progress outside 0..1", async () => {
  const { tracked } = tracker(new MemoryJobRecords());
  for (const one of [tracked, DISABLED_TRACKER]) {
    for (const progress of [-0.01, 1.01, NaN, Infinity]) {
      assert.throws(() => one.setProgress(progress), {
        name: "RangeError",
        message: /Cannot set the progress of a job to .*: it must be in 0\.\.1/,
      });
    }
    one.setProgress(0);
    one.setProgress(1);
  }
  await tracked.close();
});
