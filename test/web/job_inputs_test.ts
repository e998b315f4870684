import assert from "node:assert/strict";
import { signal } from "@preact/signals";
import { Engine } from "../../web/page/engine.ts";
import { JobForm } from "../../web/page/job_form.ts";
import { JobInputs } from "../../web/page/job_inputs.ts";
import type { WorkerCommand } from "../../web/protocol.ts";
import type { DataFacts } from "../../web/protocol/data.ts";

const JOB = { base_model: "models/tiny", training_data_path: "data/a.jsonl", output_model_name: "ember" };

/** A worker that keeps what it is asked, for the test to answer. */
class AskedWorker extends EventTarget {
  readonly asked: Extract<WorkerCommand, { type: "ask" }>[] = [];
  readonly cancelled: number[] = [];

  postMessage(command: WorkerCommand): void {
    if (command.type === "ask") this.asked.push(structuredClone(command));
    if (command.type === "cancel") this.cancelled.push(command.id);
  }

  /** Names of the questions so far. */
  get questions(): string[] {
    return this.asked.map(({ question }) => question);
  }

  answer(question: string, value: unknown): void {
    this.answerAt(this.asked.findLast((one) => one.question === question)!.id, value);
  }

  answerAt(id: number, value: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data: { type: "answer", id, value } }));
  }

  refuse(question: string, message: string): void {
    const { id } = this.asked.findLast((one) => one.question === question)!;
    const error = { name: "Error", message, issues: [] };
    this.dispatchEvent(new MessageEvent("message", { data: { type: "refused", id, error } }));
  }
}

/** The inputs of a form, and whether a run leaves room for questions. */
function inputsOf(job: Readonly<Record<string, unknown>>) {
  const worker = new AskedWorker(), form = new JobForm(job), idle = signal(true);
  const engine = new Engine(() => ({ port: worker as unknown as Worker, ended: new Promise(() => {}) }));
  const inputs = new JobInputs(engine, form, "models/tiny");
  inputs.follow(() => idle.value);
  inputs.followPlan(() => idle.value);
  return { worker, form, inputs, idle };
}

const soon = (ms = 0) => new Promise((done) => setTimeout(done, ms));

Deno.test("a plan waits for the data, and is marked as that of other options until there is a new one", async () => {
  const { worker, form, inputs } = inputsOf(JOB);
  await soon();
  assert.equal(worker.questions.includes("plan"), false);
  worker.answer("dataFacts", {});
  await soon();
  worker.answer("plan", { summary: {} });
  await soon();
  assert.deepEqual([inputs.plan.value.waiting, inputs.plan.value.value], [false, { summary: {} }]);
  form.set({ batch_size: 2 });
  assert.equal(inputs.plan.value.waiting, true);
  await soon(400);
  assert.equal(worker.questions.filter((name) => name === "plan").length, 2);
});

Deno.test("data that comes by the name of the former is read anew, and the former no further", async () => {
  const { worker, inputs } = inputsOf(JOB), file = { name: "rows.jsonl", content: new Blob(["{}"]) };
  await soon();
  for (const times of [2, 3]) {
    const { id } = worker.asked.findLast(({ question }) => question === "dataFacts")!;
    const taken = inputs.takeData(file);
    worker.answer("keepData", "device/data/rows.jsonl");
    await taken;
    await soon(400);
    assert.equal(worker.questions.filter((name) => name === "dataFacts").length, times);
    assert.ok(worker.cancelled.includes(id));
  }
});

Deno.test("a plan that a run took the place of is made after the run", async () => {
  const { worker, inputs, idle } = inputsOf(JOB);
  await soon();
  worker.answer("dataFacts", {});
  await soon();
  const { id } = worker.asked.findLast(({ question }) => question === "plan")!;
  idle.value = false;
  assert.ok(worker.cancelled.includes(id));
  worker.refuse("plan", "no longer wanted");
  await soon();
  assert.equal(inputs.plan.value.problem, null);
  idle.value = true;
  await soon(400);
  worker.answer("plan", { summary: {} });
  await soon();
  assert.deepEqual(inputs.plan.value, { value: { summary: {} }, problem: null, waiting: false });
});

Deno.test("a large file is shown by its first rows while it is kept and read, another's first rows never", async () => {
  const { worker, inputs } = inputsOf(JOB), content = new Blob(["{}"]);
  await soon();
  const facts = (file: string, rows: number) => ({ file, rows, isWhole: false }) as DataFacts;
  const first = inputs.takeData({ name: "first.jsonl", content });
  worker.answer("peekData", facts("first.jsonl", 5));
  await soon();
  assert.deepEqual([inputs.data.value.value?.file, inputs.data.value.waiting], ["first.jsonl", true]);
  const second = inputs.takeData({ name: "second.jsonl", content });
  worker.answer("peekData", facts("second.jsonl", 7));
  await soon();
  worker.answer("keepData", "device/data/second.jsonl");
  await second;
  assert.equal(inputs.data.value.value?.file, "second.jsonl");
  worker.answerAt(
    worker.asked.find(({ question }) => question === "keepData")!.id,
    "device/data/first.jsonl",
  );
  await first;
  await soon(400);
  assert.deepEqual([inputs.data.value.value?.rows, inputs.data.value.waiting], [7, true]);
  worker.answer("dataFacts", { ...facts("second.jsonl", 9), isWhole: true });
  await soon();
  assert.deepEqual([inputs.data.value.value?.rows, inputs.data.value.waiting], [9, false]);
});

Deno.test("of two files the one that was given last is the data, however long the first one takes", async () => {
  const { worker, form, inputs } = inputsOf(JOB), content = new Blob(["{}"]);
  await soon();
  const large = inputs.takeData({ name: "large.jsonl", content });
  const small = inputs.takeData({ name: "small.jsonl", content });
  assert.equal(inputs.isTaking.value, true);
  worker.answer("keepData", "device/data/small.jsonl");
  await small;
  assert.deepEqual([form.value("training_data_path"), inputs.isTaking.value], [
    "device/data/small.jsonl",
    false,
  ]);
  worker.answerAt(
    worker.asked.find(({ question }) => question === "keepData")!.id,
    "device/data/large.jsonl",
  );
  await large;
  assert.equal(form.value("training_data_path"), "device/data/small.jsonl");
});

Deno.test("an option that is wrong is told by its field, not as a problem of the data, which is asked about when it is right", async () => {
  const { worker, form, inputs } = inputsOf({ ...JOB, lora_dropout: 7 });
  await soon();
  const [first] = worker.asked.filter(({ question }) => question === "dataFacts");
  assert.deepEqual(first!.input, { ...JOB, output_model_name: "data" });
  worker.answer("dataFacts", { rows: 2 });
  await soon();
  form.set({ max_length: 1 });
  await soon(400);
  assert.deepEqual(inputs.data.value, { value: { rows: 2 }, problem: null, waiting: false });
  form.set({ max_length: 9 });
  await soon(400);
  assert.equal(worker.questions.filter((name) => name === "dataFacts").length, 2);
});

Deno.test("a run is known to fail by what was found of model, data and plan, not by a worker that was lost", async () => {
  const { worker, inputs } = inputsOf(JOB);
  await soon();
  worker.refuse("modelFacts", "is none");
  assert.equal(inputs.hasProblem, false); // not told yet
  await soon();
  assert.equal(inputs.hasProblem, true);
  const { model } = inputs, lost = { name: "WorkerLostError", message: "gone", issues: [] };
  model.value = { ...model.value, problem: lost };
  assert.equal(inputs.hasProblem, false);
});
