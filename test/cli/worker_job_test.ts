import assert from "node:assert/strict";
import { errorData, errorFrom, type FromWorker, type ToWorker } from "../../src/cli/job_protocol.ts";
import { type JobWorker, WorkerJob } from "../../src/cli/worker_job.ts";
import { parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import * as errors from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";

const CONFIG = parseFineTuneJobConfig({
  base_model: "b",
  output_model_name: "o",
  training_data_path: "t.jsonl",
});
const phase = (message: string): TrainingEvent => ({ type: "phase", message });

/** A worker that answers in this thread. */
class FakeWorker implements JobWorker {
  onmessage: JobWorker["onmessage"] = null;
  onerror: JobWorker["onerror"] = null;
  readonly heard: ToWorker[] = [];
  terminated = false;

  constructor(readonly answer: (message: ToWorker, worker: FakeWorker) => void) {}

  postMessage(message: ToWorker): void {
    this.heard.push(message);
    queueMicrotask(() => this.answer(message, this));
  }

  say(data: FromWorker): void {
    this.onmessage!(new MessageEvent("message", { data }));
  }

  terminate(): void {
    this.terminated = true;
  }
}

Deno.test("errorFrom() gives back every error of the project as its class, with all that it holds", () => {
  const samples = [
    new errors.ConfigError([{ path: "lora_r", message: "must be 1" }, { path: "", message: "odd" }]),
    new errors.DatasetFormatError([{ file: "a.jsonl", line: 3, message: "cut" }]),
    new errors.DivergedError("not finite", 7),
    new errors.StorageNotFoundError("gone"),
    new errors.StorageDeniedError("denied"),
    new errors.StorageBucketError("no bucket"),
    new errors.StorageInterruptedError("cut"),
    new errors.StorageConflictError("changed"),
    new errors.StorageDamagedError("other bytes"),
    new errors.ModelFormatError("damaged"),
    new errors.UnsupportedModelError("unknown"),
    new errors.GpuUnavailableError("none"),
    new errors.GpuMemoryError("full"),
    new errors.GpuLostError("lost"),
    new RangeError("far"),
    new TypeError("wrong"),
    new SyntaxError("comma"),
  ];
  const names = new Set(samples.map(({ name }) => name));
  for (const name of Object.keys(errors)) assert.ok(names.has(name), `${name} is not tried`);
  for (const error of samples) {
    const back = errorFrom(structuredClone(errorData(error)));
    assert.equal(back.constructor, error.constructor);
    assert.deepEqual({ ...back }, { ...error });
    assert.deepEqual([back.name, back.message, back.stack], [error.name, error.message, error.stack]);
  }
});

Deno.test("errorFrom() keeps name and message of a class that it does not know, and what is no error", () => {
  const odd = errorFrom(errorData(new DOMException("too slow", "TimeoutError")));
  assert.deepEqual([odd.name, odd.message], ["TimeoutError", "too slow"]);
  assert.equal(errorFrom(errorData("just text")).message, "just text");
});

Deno.test("WorkerJob hands on configuration and events, and ends with the job", async () => {
  const worker = new FakeWorker((_, worker) => {
    worker.say({ type: "event", event: phase("one") });
    worker.say({ type: "event", event: phase("two") });
    worker.say({ type: "over", error: null });
  });
  const { signal } = new AbortController();
  const job = new WorkerJob(CONFIG, { dryRun: true, signal }, () => worker);
  assert.deepEqual(await Array.fromAsync(job.run()), [phase("one"), phase("two")]);
  assert.deepEqual(worker.heard, [{ type: "run", config: toWire(CONFIG), dryRun: true, logs: null }]);
  assert.equal(worker.terminated, true);
});

Deno.test("WorkerJob throws what the job threw, after the events before it", async () => {
  const worker = new FakeWorker((_, worker) => {
    worker.say({ type: "event", event: phase("one") });
    worker.say({ type: "over", error: errorData(new errors.GpuMemoryError("too large")) });
  });
  const events: TrainingEvent[] = [];
  await assert.rejects(async () => {
    const job = new WorkerJob(CONFIG, { dryRun: false, signal: new AbortController().signal }, () => worker);
    for await (const event of job.run()) events.push(event);
  }, (error) => error instanceof errors.GpuMemoryError && error.message === "too large");
  assert.deepEqual(events, [phase("one")]);
  assert.equal(worker.terminated, true);
});

Deno.test("WorkerJob tells the worker to stop and throws the signal's reason once it has", async () => {
  const controller = new AbortController();
  const worker = new FakeWorker((message, worker) => {
    if (message.type === "run") worker.say({ type: "event", event: phase("one") });
    else {
      worker.say({ type: "event", event: { type: "checkpointed", step: 3, path: "runs/o/checkpoint-3" } });
      worker.say({ type: "stopped" });
    }
  });
  const events: string[] = [];
  const reason = new Error("asked to stop");
  await assert.rejects(async () => {
    const job = new WorkerJob(CONFIG, { dryRun: false, signal: controller.signal }, () => worker);
    for await (const event of job.run()) {
      events.push(event.type);
      controller.abort(reason);
    }
  }, reason);
  assert.deepEqual(events, ["phase", "checkpointed"]);
  assert.deepEqual(worker.heard.map(({ type }) => type), ["run", "stop"]);
});

Deno.test("WorkerJob tells the worker what to log, and hands on what it logs", async () => {
  const worker = new FakeWorker((_, worker) => {
    worker.say({ type: "log", lines: "a line\n" });
    worker.say({ type: "over", error: null });
  });
  const lines: string[] = [];
  const logs = { level: "info", format: "json", write: (text: string) => void lines.push(text) } as const;
  const { signal } = new AbortController();
  const job = new WorkerJob(CONFIG, { dryRun: false, signal, logs }, () => worker);
  assert.deepEqual(await Array.fromAsync(job.run()), []);
  assert.deepEqual(lines, ["a line\n"]);
  const [message] = worker.heard;
  assert.ok(message?.type === "run");
  assert.deepEqual(message.logs, { level: "info", format: "json" });
});

Deno.test("WorkerJob fails with a worker that fails", async () => {
  const worker = new FakeWorker((_, worker) =>
    worker.onerror!(new ErrorEvent("error", { message: "cannot load", cancelable: true }))
  );
  const job = new WorkerJob(CONFIG, { dryRun: false, signal: new AbortController().signal }, () => worker);
  await assert.rejects(Array.fromAsync(job.run()), { message: "The job's worker failed: cannot load" });
  assert.equal(worker.terminated, true);
});
