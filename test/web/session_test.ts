import assert from "node:assert/strict";
import { gpuChat } from "../../web/page/chat_engines.ts";
import { Engine } from "../../web/page/engine.ts";
import { PageSession } from "../../web/page/session.ts";
import type { RunMessage, WorkerCommand } from "../../web/protocol.ts";
import type { RunDetails, RunEntry } from "../../web/protocol/runs.ts";

/** A worker whose answers the test gives, in the order that it likes. */
class PatientWorker extends EventTarget {
  readonly commands: WorkerCommand[] = [];

  postMessage(command: WorkerCommand): void {
    this.commands.push(command);
  }

  /** Answers the first of such questions that waits, of one input where that is given. */
  async answer(question: string, value: unknown, input?: unknown): Promise<void> {
    const at = this.commands.findIndex((command) =>
      command.type === "ask" && command.question === question &&
      (input === undefined || command.input === input)
    );
    const [asked] = this.commands.splice(at, 1);
    assert.ok(asked?.type === "ask", `${question} was not asked`);
    await this.#tell({ ...value as object, id: asked.id });
  }

  async run(message: RunMessage): Promise<void> {
    await this.#tell(message);
  }

  started(): string[] {
    return this.commands.flatMap((one) => one.type === "start" ? String(one.config.output_model_name) : []);
  }

  async #tell(data: unknown): Promise<void> {
    this.dispatchEvent(new MessageEvent("message", { data }));
    await new Promise((rest) => setTimeout(rest)); // until the page has done what follows from it
  }
}

function entryOf(name: string): RunEntry {
  return {
    ...{
      name,
      status: "cancelled",
      startedAt: "2026-01-01T00:00:00Z",
      steps: 4,
      totalSteps: 8,
      resumable: 4,
    },
    ...{ baseModel: "models/tiny", evalLossBefore: null, evalLossAfter: null, serverJob: null, error: null },
    config: { output_model_name: name },
  };
}

function answerOf(name: string) {
  const details: RunDetails = {
    ...{ entry: entryOf(name), metrics: [], rounds: [], files: [], checkpoints: [], hasAdapter: false },
  };
  return { type: "answer", value: details };
}

const NOT_THERE = {
  type: "refused",
  error: { name: "StorageNotFoundError", message: "Cannot open it", issues: [] },
};

/** A session that has been opened, on a worker. */
async function opened(): Promise<{ session: PageSession; worker: PatientWorker }> {
  Object.assign(globalThis, { location: { hash: "#/history" } }); // which Deno has none of
  const worker = new PatientWorker(), port = worker as unknown as Worker;
  const engine = new Engine(() => ({ port, ended: new Promise(() => {}) }));
  const gate = { open: true, adapter: "none", software: true } as const;
  const session = new PageSession(
    { base_model: "models/tiny" },
    Promise.resolve(gate),
    engine,
    gpuChat(engine),
  );
  void session.open();
  await worker.answer("open", { type: "answer", value: { store: "device", runs: [entryOf("ember")] } });
  return { session, worker };
}

Deno.test("a run that is gone on with twice before its files are read is started once", async () => {
  const { session, worker } = await opened();
  void session.resume("ember");
  void session.resume("ember");
  await worker.answer("openRun", answerOf("ember"));
  await worker.answer("openRun", answerOf("ember"));
  assert.deepEqual(worker.started(), ["ember"]);
  session.start();
  assert.deepEqual([worker.started(), session.running.value!.name], [["ember"], "ember"]);
});

Deno.test("of two runs the one that was wanted last is shown, whichever is read first", async () => {
  const { session, worker } = await opened();
  void session.show("ember");
  void session.show("coal");
  await worker.answer("openRun", answerOf("coal"), "coal");
  await worker.answer("openRun", answerOf("ember"), "ember");
  assert.equal(session.run.value!.name, "coal");
  void session.show("ash");
  session.start();
  await worker.answer("openRun", answerOf("ash"), "ash");
  assert.equal(session.run.value, session.running.value);
});

Deno.test("other runs can be shown while one goes on, which goes on being told", async () => {
  const { session, worker } = await opened();
  session.start();
  const running = session.running.value!;
  void session.show("ember");
  await worker.answer("openRun", answerOf("ember"));
  assert.equal(session.run.value!.name, "ember");
  await worker.run({ type: "event", event: { type: "warning", message: "hot" } });
  assert.deepEqual([running.log.value, session.run.value!.log.value], [["warning: hot"], []]);
  session.stop();
  assert.deepEqual([running.status.value, session.run.value!.status.value], ["stopping", "paused"]);
  await session.show(running.name);
  assert.equal(session.run.value, running);
  await worker.run({ type: "stopped", resumable: 2 });
  assert.deepEqual([session.busy.value, running.status.value, running.resumable.value], [false, "paused", 2]);
});

Deno.test("a run that is not there is said to be missing, which is no problem", async () => {
  const { session, worker } = await opened();
  void session.show("ash");
  assert.equal(session.missing.value, null);
  await worker.answer("openRun", NOT_THERE);
  assert.deepEqual([session.missing.value, session.run.value, session.problem.value], ["ash", null, null]);
});
