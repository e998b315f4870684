import assert from "node:assert/strict";
import { Engine, RefusedError } from "../../web/page/engine.ts";
import type { RunMessage, WorkerCommand } from "../../web/protocol.ts";

/** A worker that does what the test says, and ends when it says so. */
class EndedWorker extends EventTarget {
  readonly commands: WorkerCommand[] = [];
  readonly ending = Promise.withResolvers<void>();

  postMessage(command: WorkerCommand): void {
    this.commands.push(command);
  }

  tell(message: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data: message }));
  }
}

/** An engine whose workers are kept. */
function engineOf() {
  const workers: EndedWorker[] = [], told: RunMessage[] = [];
  const engine = new Engine(() => {
    const worker = new EndedWorker();
    workers.push(worker);
    return { port: worker as unknown as Worker, ended: worker.ending.promise };
  });
  engine.onRun = (message) => told.push(message);
  return { engine, workers, told };
}

Deno.test("a worker that is gone is replaced: what it was asked is refused, its run has failed, the next one answers", async () => {
  const { engine, workers, told } = engineOf();
  engine.start({});
  workers[0]!.tell({ type: "event", event: { type: "warning", message: "w" } });
  const asked = assert.rejects(engine.ask("runs", null), (error: RefusedError) => {
    assert.match(error.message, /^The worker was ended/);
    return true;
  });
  workers[0]!.ending.resolve();
  await asked;
  assert.deepEqual(told.map((message) => message.type === "failed" ? message.error.name : message.type), [
    "event",
    "WorkerLostError",
  ]);
  const answer = engine.ask("runs", null);
  const { id } = workers[1]!.commands[0] as Extract<WorkerCommand, { type: "ask" }>;
  workers[1]!.tell({ type: "answer", id, value: [] });
  assert.deepEqual(await answer, []);
});

Deno.test("a worker that is gone while nothing runs fails no run", async () => {
  const { engine, workers, told } = engineOf();
  engine.start({});
  workers[0]!.tell({ type: "completed" });
  workers[0]!.ending.resolve();
  await workers[0]!.ending.promise;
  await Promise.resolve();
  assert.deepEqual([workers.length, told.map(({ type }) => type)], [2, ["completed"]]);
});

Deno.test("a worker whose script did not load leaves no question without an answer", async () => {
  const { engine, workers } = engineOf(),
    wanted = /^RefusedError: The worker cannot run: its script did not load/;
  const asked = assert.rejects(engine.ask("runs", null), wanted);
  workers[0]!.dispatchEvent(new Event("error"));
  await asked;
  await assert.rejects(engine.ask("runs", null), wanted);
});

Deno.test("a worker in which one thing failed goes on answering", async () => {
  const { engine, workers } = engineOf();
  const asked = assert.rejects(engine.ask("runs", null), /The worker cannot run: it broke; reload the page/);
  workers[0]!.dispatchEvent(new ErrorEvent("error", { message: "it broke" }));
  await asked;
  const answer = engine.ask("runs", null);
  workers[0]!.tell({ type: "answer", id: 2, value: [] });
  assert.deepEqual(await answer, []);
});
