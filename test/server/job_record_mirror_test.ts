/**
 * The server's own jobs in the store of job records.
 */
import assert from "node:assert/strict";
import { FirestoreJobRecords } from "../../src/job_tracker/firestore.ts";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import type { JobRecordStore, JobUpdate } from "../../src/job_tracker.ts";
import { startFirestore } from "../helpers/firestore.ts";
import { ROWS, type TestServer, until, uploadForm, withServer } from "../helpers/server_app.ts";
import { started, step } from "../helpers/training_events.ts";

async function created({ app }: TestServer): Promise<string> {
  const file = await (await app.request("/v1/files", { method: "POST", body: uploadForm(ROWS) })).json();
  const body = JSON.stringify({ model: "tiny", training_file: file.id });
  const headers = { "content-type": "application/json" };
  return (await (await app.request("/v1/fine_tuning/jobs", { method: "POST", body, headers })).json()).id;
}

/** Records that can be out of reach, and are told in which order they were written. */
class FlakyRecords extends MemoryJobRecords implements JobRecordStore {
  readonly written: [string, JobUpdate][] = [];
  isDown = false;

  override async write(jobId: string, update: JobUpdate): Promise<void> {
    if (this.isDown) throw new Error("the store is down");
    this.written.push([jobId, update]);
    await super.write(jobId, update);
  }
}

Deno.test("a job's record tells how it stands from the line to its end, and clients read and do not write it", () => {
  const records = new FlakyRecords();
  return withServer({}, async (server) => {
    const { app, launcher, clock } = server, from = clock.now, id = await created(server);
    const record = async () => await (await app.request(`/api/jobs/${id}`)).json();
    const process = (await launcher.started(0)).tell(started(4));
    clock.now += 1000;
    await until(async () => (await record()).status === "running");
    process.tell(step(1), step(2), step(3));
    await until(async () => (await record()).progress === 0.75);
    const { created_at, metadata, error } = await record();
    assert.deepEqual([created_at, error], [from, null]);
    assert.deepEqual([metadata.base_model, metadata.step, metadata.total_steps], ["tiny", 3, 4]);
    process.end({ type: "failed", error: { name: "DivergedError", message: "loss is NaN" } });
    await until(async () => (await record()).status === "failed");
    assert.equal((await record()).error, "loss is NaN");
    const statuses = records.written.flatMap(([, { status }]) => status ?? []);
    assert.deepEqual(statuses.filter((status) => status === "running"), ["running"], "said once");
    const write = {
      method: "PATCH",
      body: '{"progress": 1}',
      headers: { "content-type": "application/json" },
    };
    assert.equal((await app.request(`/api/jobs/${id}`, write)).status, 403);
    const listed = await (await app.request("/api/jobs")).json();
    assert.deepEqual(listed.data.map(({ job_id }: { job_id: string }) => job_id), [id]);
  }, { records });
});

Deno.test("a store of records that is down stops no job, and learns later what it missed, from the next server too", () => {
  const records = new FlakyRecords();
  return withServer({}, async (server) => {
    records.isDown = true;
    const id = await created(server), { launcher, failures } = server;
    (await launcher.started(0)).tell(started(4), step(2)).end({ type: "stopped" });
    (await launcher.started(1)).tell(step(3));
    await until(() => server.deps.jobs.get(id)!.step === 3);
    assert.equal(await records.read(id), null);
    assert.equal(failures.length, 1, "told once");
    records.isDown = false;
    await until(async () => (await records.read(id))?.progress === 0.75);
    records.isDown = true;
    const move = { method: "POST" };
    assert.equal((await server.app.request(`/v1/fine_tuning/jobs/${id}/cancel`, move)).status, 200);
    launcher.processes[1]!.end({ type: "stopped" });
    await server.server.stop();
    records.isDown = false;
    assert.notEqual((await records.read(id))!.status, "cancelled");
    await server.again();
    await until(async () => (await records.read(id))?.status === "cancelled");
    const { length } = records.written;
    await (await server.again()).stop();
    assert.equal(records.written.length, length, "nothing is told again");
  }, { records });
});

Deno.test("the server's jobs are in Firestore, in the words of the Python service", async () => {
  const firestore = await startFirestore();
  try {
    const records = new FirestoreJobRecords({ projectId: "test", emulatorHost: firestore.host });
    await withServer({}, async (server) => {
      const id = await created(server), watch = await firestore.watch("jobs", id);
      const process = await server.launcher.started(0);
      await watch.until("pending");
      process.tell(started(2), step(1, 2));
      await watch.until("running");
      process.end({ type: "failed", error: { name: "GpuMemoryError", message: "Cannot allocate 3 GB" } });
      const seen = await watch.until("failed"), last = seen.at(-1)!;
      assert.deepEqual([last.progress, last.error], [0.5, "Cannot allocate 3 GB"]);
      assert.ok(last.started_at && last.completed_at);
      assert.deepEqual([...new Set(seen.map(({ status }) => status))], ["pending", "running", "failed"]);
    }, { records });
    await records.close();
  } finally {
    await firestore.stop();
  }
});
