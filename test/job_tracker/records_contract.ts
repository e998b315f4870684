/**
 * The tests that every store of job records passes.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { JobRecordStore, WatchableJobRecords } from "../../src/job_tracker.ts";

/** What every store must do, as tests. @param open A store that holds nothing; each call opens the same one again. */
export function recordsContract(
  kind: string,
  withStore: (check: (open: () => JobRecordStore) => Promise<void>) => Promise<void>,
): void {
  const contract = (says: string, check: (open: () => JobRecordStore) => Promise<void>) =>
    Deno.test(`${kind} ${says}`, () => withStore(check));

  contract("keeps a job from its first update to its last", async (open) => {
    const store = open();
    assert.equal(await store.read("job-1"), null);
    await store.write("job-1", { at: 1000, status: "validating", progress: 0, error: null });
    await store.write("job-1", { at: 2000, status: "running", metadata: { base_model: "ember", steps: 7 } });
    await store.write("job-1", { at: 3000, progress: 0.25 });
    await store.write("job-1", { at: 4000, metadata: { steps: 8, dry: false, note: null } });
    await store.write("job-1", { at: 5000 });
    const running = await store.read("job-1");
    const { status: validating } = (await store.read("job-1"))!;
    assert.equal(validating, "running");
    assert.deepEqual(running, {
      jobId: "job-1",
      status: "running",
      progress: 0.25,
      error: null,
      metadata: { base_model: "ember", steps: 8, dry: false, note: null },
      createdAt: 1000,
      updatedAt: 5000,
      startedAt: 2000,
      completedAt: null,
      heartbeatAt: 5000,
    });
    await store.write("job-1", { at: 6000, status: "completed", progress: 1, error: null });
    assert.deepEqual(await store.read("job-1"), {
      ...running,
      status: "completed",
      progress: 1,
      updatedAt: 6000,
      completedAt: 6000,
      heartbeatAt: 6000,
    });
    await store.close();
  });

  contract("keeps jobs apart, and the reason of a failure", async (open) => {
    const store = open();
    await store.write("a", { at: 1, status: "running" });
    await store.write("b", { at: 2, status: "running", progress: 0.5 });
    await store.write("b", { at: 3, status: "failed", error: "loss is not finite — step 7" });
    assert.deepEqual([(await store.read("a"))?.status, (await store.read("a"))?.error], ["running", null]);
    const failed = await store.read("b");
    assert.deepEqual([failed?.status, failed?.progress, failed?.error], [
      "failed",
      0.5,
      "loss is not finite — step 7",
    ]);
    await store.close();
  });

  contract("remembers when a job was made, whoever writes next", async (open) => {
    const first = open();
    await first.write("a", { at: 1, status: "validating" });
    await first.close();
    const second = open();
    await second.write("a", { at: 9, status: "validating", progress: 0 });
    const record = await second.read("a");
    assert.deepEqual([record?.createdAt, record?.updatedAt], [1, 9]);
    await second.close();
  });
}

/** What a store must do beside that to be looked through and watched. @param open As of {@link recordsContract}. */
export function watchableRecordsContract(
  kind: string,
  withStore: (check: (open: () => WatchableJobRecords) => Promise<void>) => Promise<void>,
): void {
  const contract = (says: string, check: (open: () => WatchableJobRecords) => Promise<void>) =>
    Deno.test(`${kind} ${says}`, () => withStore(check));

  contract("lists jobs page by page, the latest first", async (open) => {
    const store = open();
    for (const [jobId, at] of [["a", 1], ["b", 3], ["c", 3], ["d", 3], ["e", 2]] as const) {
      await store.write(jobId, { at, status: "queued" });
    }
    const pages: string[] = [];
    let pageToken: string | null = null;
    do {
      const page = await store.list({ limit: 2, pageToken });
      pages.push(page.records.map(({ jobId }) => jobId).join(" "));
      pageToken = page.nextPageToken;
    } while (pageToken !== null);
    assert.deepEqual(pages, ["d c", "b e", "a"]);
    assert.equal((await store.list({ limit: 5 })).nextPageToken, null);
    await assert.rejects(store.list({ limit: 5, pageToken: "no token" }), RangeError);
    await store.close();
  });

  contract("tells of changes, whoever makes them, until it is not wanted any more", async (open) => {
    const store = open(), writer = kind === "MemoryJobRecords" ? store : open();
    const told: (number | null)[] = [];
    let wake = () => {};
    const stop = store.watch("a", {
      changed: (record) => (told.push(record?.progress ?? null), wake()),
      failed: (error) => assert.fail(String(error)),
    });
    const until = async (progress: number | null) => {
      while (told.at(-1) !== progress) await new Promise<void>((resolve) => wake = resolve);
    };
    if (told.length === 0) await until(null);
    await writer.write("a", { at: 1, status: "running", progress: 0.25 });
    await until(0.25);
    await writer.write("b", { at: 2, status: "running", progress: 0.5 });
    await writer.write("a", { at: 3, progress: 0.75 });
    await until(0.75);
    stop();
    await writer.write("a", { at: 4, progress: 1 });
    assert.deepEqual(told, [null, 0.25, 0.75]);
    if (writer !== store) await writer.close();
    await store.close();
  });
}
