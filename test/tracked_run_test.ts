import assert from "node:assert/strict";
import type { RunSummary, TrainingEvent } from "../src/job.ts";
import type { JobRecordStore, JobUpdate } from "../src/job_tracker.ts";
import { MemoryJobRecords } from "../src/job_tracker/memory.ts";
import { QueuedTracker } from "../src/job_tracker/queued.ts";
import { progressAt, trackedEvents } from "../src/tracked_run.ts";

const summary = {
  baseModel: "models/ember",
  modelType: "llama",
  adapter: "llvmpipe",
  trainableParameters: 7,
  trainExamples: 5,
  totalSteps: 4,
} as RunSummary;

const step = (step: number) => ({ type: "step", step, totalSteps: 4 } as TrainingEvent);

const RUN: readonly TrainingEvent[] = [
  { type: "phase", message: "reading the base model" },
  { type: "started", summary },
  ...[1, 2, 3, 4].map(step),
  { type: "saved", what: "adapter", path: "a" },
  { type: "saved", what: "merged", path: "m" },
  { type: "finished", status: "completed", steps: 4, seconds: 1.4, evalLossBefore: 2, evalLossAfter: 1 },
];

/** Events with time between them, so that each update is written on its own. */
async function* spaced(events: readonly TrainingEvent[], error?: Error): AsyncGenerator<TrainingEvent> {
  for (const event of events) {
    yield event;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (error) throw error;
}

/** Keeps updates beside the record. */
class Witness implements JobRecordStore {
  readonly uri = "witness";
  readonly updates: JobUpdate[] = [];
  readonly #records = new MemoryJobRecords();

  write(jobId: string, update: JobUpdate): Promise<void> {
    this.updates.push(update);
    return this.#records.write(jobId, update);
  }

  read(jobId: string) {
    return this.#records.read(jobId);
  }

  close = () => Promise.resolve();
}

Deno.test("trackedEvents() passes events on and tells a tracker of the whole run", async () => {
  const store = new Witness();
  const tracker = new QueuedTracker(store, "job", { heartbeatMs: 0 });
  const seen = await Array.fromAsync(trackedEvents(spaced(RUN), tracker));
  assert.deepEqual(seen, RUN);
  const record = (await store.read("job"))!;
  assert.deepEqual([record.status, record.progress, record.error], ["completed", 1, null]);
  assert.deepEqual(record.metadata, {
    base_model: "models/ember",
    model_type: "llama",
    adapter: "llvmpipe",
    trainable_parameters: 7,
    train_examples: 5,
    total_steps: 4,
    steps: 4,
    seconds: 1,
    eval_loss_before: 2,
    eval_loss_after: 1,
  });
  assert.ok(record.createdAt <= record.startedAt! && record.startedAt! <= record.completedAt!);
  const told = store.updates.flatMap(({ progress }) => progress === undefined ? [] : [progress]);
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
  assert.ok(new Set(told).size >= 7, `progress ${told}`);
  assert.deepEqual(store.updates.flatMap(({ status }) => status ?? []), [
    "validating",
    "running",
    "completed",
  ]);
});

Deno.test("trackedEvents() tells why a run failed, and passes the error on whole", async () => {
  const store = new Witness();
  const error = new RangeError("loss is not finite");
  const events = trackedEvents(
    spaced(RUN.slice(0, 4), error),
    new QueuedTracker(store, "job", { heartbeatMs: 0 }),
  );
  await assert.rejects(Array.fromAsync(events), (thrown) => thrown === error);
  const record = (await store.read("job"))!;
  assert.deepEqual([record.status, record.error], ["failed", "loss is not finite"]);
  assert.ok(record.progress > 0.4 && record.progress < 0.6, `${record.progress}`);
});

Deno.test("trackedEvents() tells a cancelled run from a failed one", async () => {
  for (const how of ["signal", "consumer"]) {
    const store = new Witness();
    const stop = new AbortController();
    const tracker = new QueuedTracker(store, "job", { heartbeatMs: 0 });
    const error = how === "signal" ? new DOMException("stop", "AbortError") : undefined;
    try {
      for await (const event of trackedEvents(spaced(RUN.slice(0, 4), error), tracker, stop.signal)) {
        if (how === "consumer" && event.type === "step") break;
        if (how === "signal" && event.type === "step") stop.abort();
      }
    } catch (thrown) {
      assert.equal(thrown, error);
    }
    const record = (await store.read("job"))!;
    assert.deepEqual([record.status, record.error], ["cancelled", null]);
    assert.ok(record.completedAt !== null);
  }
});

Deno.test("trackedEvents() gives all events though the store is down", async () => {
  const store = new Witness();
  store.write = () => Promise.reject(new Error("down"));
  const warnings: string[] = [];
  const tracker = new QueuedTracker(store, "job", {
    heartbeatMs: 0,
    attempts: 2,
    pauseMs: 1,
    closeMs: 50,
    warn: (message) => void warnings.push(message),
  });
  assert.deepEqual(await Array.fromAsync(trackedEvents(spaced(RUN), tracker)), RUN);
  assert.match(warnings.at(-1)!, /updates did not reach witness; the job is not affected/);
});

Deno.test("progressAt() rises to 1 over a run", () => {
  const told = RUN.map(progressAt).filter((progress) => progress !== null);
  assert.deepEqual(told, told.toSorted((a, b) => a - b));
  assert.ok(told.every((progress) => progress > 0 && progress < 1));
});
