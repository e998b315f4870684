import assert from "node:assert/strict";
import type { Firestore } from "@google-cloud/firestore";
import { openTracker } from "../../src/cli/open_tracker.ts";
import { runCommand } from "../../src/cli/run.ts";
import { FirestoreJobRecords } from "../../src/job_tracker/firestore.ts";
import { QueuedTracker } from "../../src/job_tracker/queued.ts";
import { fakeIo, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "../cli/fake_io.ts";
import { type FirestoreEmulator, startFirestoreEmulator } from "../helpers/firestore.ts";
import { recordsContract, watchableRecordsContract } from "./records_contract.ts";

let emulator: FirestoreEmulator, emulatorHost: string;
let collections = 0;

Deno.test.beforeAll(async () => {
  emulator = await startFirestoreEmulator();
  emulatorHost = emulator.host;
});

Deno.test.afterAll(() => emulator.stop());

function options() {
  return { projectId: "test", collection: `jobs-${++collections}`, emulatorHost };
}

for (const contract of [recordsContract, watchableRecordsContract]) {
  contract("FirestoreJobRecords", async (check) => {
    const where = options();
    await check(() => new FirestoreJobRecords(where));
  });
}

Deno.test("FirestoreJobRecords writes documents as the Python service did", async () => {
  const where = options();
  const { Firestore } = await import("@google-cloud/firestore");
  const database: Firestore = new Firestore({ projectId: "test", host: emulatorHost, ssl: false });
  const tracker = new QueuedTracker(new FirestoreJobRecords(where), "job-7", { heartbeatMs: 0 });
  const states: unknown[] = [];
  const document = database.collection(where.collection).doc("job-7");
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const stop = document.onSnapshot((snapshot) => {
    const { status, progress } = snapshot.data() ?? {};
    if (status !== undefined) states.push([status, progress]);
    if (status === "completed") resolve();
  });
  tracker.markValidating();
  tracker.markRunning({ base_model: "ember" });
  tracker.setProgress(0.5);
  tracker.markCompleted();
  assert.deepEqual(await tracker.close(), { written: 4, dropped: 0 });
  await seen;
  stop();
  assert.deepEqual(states, [["pending", 0], ["running", 0], ["running", 0.5], ["completed", 1]]);
  const { status, progress, error, metadata, ...times } = (await document.get()).data()!;
  assert.deepEqual([status, progress, error, metadata], ["completed", 1, null, { base_model: "ember" }]);
  assert.deepEqual(Object.keys(times).sort(), [
    "completed_at",
    "created_at",
    "heartbeat_at",
    "started_at",
    "updated_at",
  ]);
  for (const time of Object.values(times)) assert.ok(Math.abs(time.toMillis() - Date.now()) < 60_000);
  await database.terminate();
});

Deno.test("train --firestore-project records a run in Firestore", async () => {
  const collection = `jobs-${++collections}`;
  const before = Deno.env.get("FIRESTORE_EMULATOR_HOST");
  Deno.env.set("FIRESTORE_EMULATOR_HOST", emulatorHost);
  try {
    const { io, stderr } = fakeIo({ events: () => [SUMMARY_EVENT, stepEvent(200, 1), FINISHED_EVENT] });
    const args = ["--base-model", "google/gemma-2-2b", "--output-model-name", "my-model"]
      .concat("--training-data-path", "data/train.jsonl", "--job-id", "job-9")
      .concat("--firestore-project", "test", "--firestore-collection", collection);
    assert.equal(await runCommand(["train", ...args], { ...io, openTracker }), 0, stderr.text);
    assert.equal(stderr.text, "");
  } finally {
    if (before === undefined) Deno.env.delete("FIRESTORE_EMULATOR_HOST");
    else Deno.env.set("FIRESTORE_EMULATOR_HOST", before);
  }
  const store = new FirestoreJobRecords({ projectId: "test", collection, emulatorHost });
  const record = (await store.read("job-9"))!;
  assert.deepEqual([record.status, record.progress, record.error], ["completed", 1, null]);
  assert.ok(record.createdAt <= record.startedAt! && record.startedAt! <= record.completedAt!);
  await store.close();
});

Deno.test("a tracker whose Firestore is down gives up in time", async () => {
  const store = new FirestoreJobRecords({ projectId: "test", emulatorHost: "127.0.0.1:1" });
  const warnings: string[] = [];
  const tracker = new QueuedTracker(store, "job", {
    heartbeatMs: 0,
    pauseMs: 1,
    closeMs: 300,
    warn: (message) => void warnings.push(message),
  });
  tracker.markRunning();
  tracker.markFailed("x");
  const before = performance.now();
  const { written, dropped } = await tracker.close();
  assert.deepEqual([written, dropped], [0, 2]);
  assert.ok(performance.now() - before < 5000);
  assert.match(warnings.at(-1)!, /2 updates did not reach firestore:test\/jobs/);
});
