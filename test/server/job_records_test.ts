import assert from "node:assert/strict";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { type TestServer, withServer } from "../helpers/server_app.ts";
import { recordEvents } from "./record_events.ts";

interface RecordsTest extends TestServer {
  readonly records: MemoryJobRecords;
  update(id: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

function withRecords(work: (test: RecordsTest) => Promise<void>, settings = {}): Promise<void> {
  const records = new MemoryJobRecords();
  return withServer(settings, async (server) => {
    const update = async (id: string, body: unknown, headers: Record<string, string> = {}) =>
      await server.app.request(`/api/jobs/${id}`, {
        method: "PATCH",
        body: typeof body === "string" ? body : JSON.stringify(body),
        headers: { "content-type": "application/json", ...headers },
      });
    await work({ ...server, records, update });
  }, { records });
}

async function refusal(response: Response): Promise<[number, string | undefined]> {
  const { status, code } = await response.json();
  assert.deepEqual([response.headers.get("content-type"), status], [
    "application/problem+json",
    response.status,
  ]);
  return [status, code];
}

Deno.test("a run in a browser tells how it stands, and everybody reads it", () =>
  withRecords(async ({ app, update, clock }) => {
    const made = await update("run-1", { status: "running", metadata: { base_model: "ember", steps: 7 } });
    assert.deepEqual(await made.json(), {
      object: "job.record",
      job_id: "run-1",
      status: "running",
      progress: 0,
      error: null,
      metadata: { base_model: "ember", steps: 7 },
      created_at: clock.now,
      updated_at: clock.now,
      started_at: clock.now,
      completed_at: null,
      heartbeat_at: clock.now,
    });
    clock.now += 1000;
    await update("run-1", { progress: 0.5, metadata: { note: null } });
    await update("run-2", {});
    const read = await (await app.request("/api/jobs/run-1")).json();
    assert.deepEqual([read.progress, read.updated_at - read.created_at, read.metadata], [0.5, 1000, {
      base_model: "ember",
      steps: 7,
      note: null,
    }]);
    const first = await (await app.request("/api/jobs?limit=1")).json();
    const second = await (await app.request(`/api/jobs?limit=1&page_token=${first.next_page_token}`)).json();
    assert.deepEqual([first.data[0].job_id, second.data[0].job_id, second.next_page_token], [
      "run-2",
      "run-1",
      null,
    ]);
  }));

Deno.test("records take only what a record may say, and a job that is over stays over", () =>
  withRecords(async ({ app, update, records }) => {
    const wrong: [string, unknown, number][] = [
      ["run", { progress: 1.5 }, 400],
      ["run", { progress: "0.5" }, 400],
      ["run", { status: "done" }, 400],
      ["run", { created_at: 1 }, 400],
      ["run", { metadata: { a: { b: 1 } } }, 400],
      ["run", { metadata: { "a b": 1 } }, 400],
      ["run", { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, i])) }, 400],
      ["run", { error: "x".repeat(10_001) }, 400],
      ["run", { error: "x".repeat(2 << 20) }, 413],
      ["run", "{", 400],
      ["run", "[]", 400],
      ["__run__", {}, 400],
      ["..%2fjobs", {}, 400],
      ["a%0d%0ab", {}, 400],
      ["x".repeat(129), {}, 400],
      ["ftjob-abc", {}, 403],
    ];
    for (const [id, body, status] of wrong) {
      assert.equal(
        (await refusal(await update(id, body)))[0],
        status,
        `${id} ${JSON.stringify(body).slice(0, 80)}`,
      );
    }
    assert.deepEqual((await records.list({ limit: 9 })).records, []);
    assert.deepEqual(await refusal(await app.request("/api/jobs/none")), [404, "job_not_found"]);
    assert.equal((await refusal(await app.request("/api/jobs?page_token=x")))[0], 400);
    await update("proto", '{"metadata":{"__proto__":{"polluted":true},"constructor":1}}');
    assert.deepEqual(Object.entries((await records.read("proto"))!.metadata), [["constructor", 1]]);
    await update("run", { status: "failed", error: "Bearer abcdefghijklmnopqrstuvwxyz is wrong" });
    assert.equal((await records.read("run"))!.error, "Bearer *** is wrong");
    assert.deepEqual(await refusal(await update("run", { progress: 0.9 })), [409, "job_is_over"]);
    assert.equal((await update("run", { status: "running", error: null })).status, 200);
    await update("run", { status: "completed", progress: 1 });
    assert.deepEqual(await refusal(await update("run", { status: "running" })), [409, "job_is_over"]);
  }));

Deno.test("two clients follow a job to its end, a slow one by its latest state", () =>
  withRecords(async ({ app, update, records }) => {
    await update("run", { status: "running" });
    const follow = async () => {
      const response = await app.request("/api/jobs/run", { headers: { accept: "text/event-stream" } });
      assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
      return recordEvents(response);
    };
    const quick = await follow(), slow = await follow();
    assert.deepEqual(
      (await app.request("/api/jobs/run", { headers: { accept: "text/event-stream" } })).status,
      429,
    );
    assert.equal((await quick.next()).value!.status, "running");
    for (const progress of [0.25, 0.5]) {
      await update("run", { progress, metadata: { text: "a\n\nevent: forged" } });
      const { value } = await quick.next();
      assert.deepEqual([value!.progress, value!.metadata.text], [progress, "a\n\nevent: forged"]);
    }
    await records.write("other", { at: 1, status: "running" });
    await update("run", { status: "completed", progress: 1 });
    assert.equal((await quick.next()).value!.status, "completed");
    assert.equal((await quick.next()).done, true);
    assert.deepEqual((await slow.next()).value!.progress, 1);
    assert.equal((await slow.next()).done, true);
    const late = await follow();
    assert.equal((await late.next()).value!.status, "completed");
    assert.equal((await late.next()).done, true);
  }, { maxEventStreams: 2 }));

Deno.test("a client that goes ends its stream, and an idle one shows that it is alive", () =>
  withRecords(async ({ app, update }) => {
    await update("run", { status: "running" });
    for (let i = 0; i < 3; i++) {
      const { body } = await app.request("/api/jobs/run", { headers: { accept: "text/event-stream" } });
      const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      while (!text.includes(": alive")) text += (await reader.read()).value;
      await reader.cancel();
    }
  }, { maxEventStreams: 1, heartbeatMs: 5 }));

Deno.test("records are read and written with the scopes for them", () =>
  withRecords(async ({ app, bearer, update }) => {
    const status = async (headers: Record<string, string>) =>
      (await app.request("/api/jobs", { headers })).status;
    assert.equal(await status({}), 401);
    assert.equal(await status(bearer("jobs:read", "storage:read")), 403);
    assert.equal(await status(bearer("records:read")), 200);
    assert.equal((await update("run", {}, bearer("records:read"))).status, 403);
    assert.equal((await update("run", {}, bearer("records:write"))).status, 200);
  }, { anonymous: false }));

Deno.test("a store that fails is told without its words, and a server without one says so", async () => {
  class Broken extends MemoryJobRecords {
    override read() {
      return Promise.reject(new Error("cannot open /srv/secret/jobs.db"));
    }
  }
  await withServer({}, async ({ app }) => {
    const response = await app.request("/api/jobs/run"), text = await response.text();
    assert.deepEqual([response.status, text.includes("secret")], [503, false]);
    assert.equal(response.headers.get("retry-after"), "5");
  }, { records: new Broken() });
  await withServer({}, async ({ app }) => {
    assert.deepEqual(await refusal(await app.request("/api/jobs/run")), [404, "no_records"]);
  });
});
