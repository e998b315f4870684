import assert from "node:assert/strict";
import type { App } from "../../server/app.ts";
import { CheckpointStore } from "../../server/checkpoint_store.ts";
import { Database } from "../../server/database.ts";
import { EventStore } from "../../server/event_store.ts";
import { EventFeed } from "../../server/event_stream.ts";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { withServer } from "../helpers/server_app.ts";

const JOB = "ftjob-a";
const NEW_JOB = {
  id: "ftjob-abc",
  model: "tiny",
  trainingFile: "file-a",
  validationFile: null,
  suffix: null,
  seed: 0,
  metadata: null,
  method: { type: "supervised", hyperparameters: {} },
  options: {},
  createdBy: null,
} as const;

/** Reads a stream until it has so many frames. */
async function frames(reader: ReadableStreamDefaultReader<Uint8Array>, count: number): Promise<string[]> {
  let text = "";
  const parts = () => text.split("\n\n").filter(Boolean);
  while (parts().length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  return parts();
}

const idsOf = (parts: readonly string[]) => parts.flatMap((part) => /^id: (\d+)/m.exec(part)?.[1] ?? []);

Deno.test("EventFeed gives what is there, then what comes, with ids that rise by one, and done at the end", async () => {
  const database = new Database(), events = new EventStore(database);
  let isOver = false, ends = 0;
  for (const message of ["one", "two\n\nid: 9"]) events.append(JOB, { message });
  const options = { jobId: JOB, heartbeatMs: 60_000, isOver: () => isOver, onEnd: () => ends++ };
  const feed = new EventFeed(events), reader = feed.stream({ ...options, after: 0 }).getReader();
  const first = await frames(reader, 3);
  assert.equal(first[0], "retry: 3000");
  assert.deepEqual(idsOf(first), ["1", "2"]);
  assert.equal(
    JSON.parse(/^data: (.*)$/m.exec(first[2]!)![1]!).message,
    "two\n\nid: 9",
    "data cannot forge an id",
  );
  const more = frames(reader, 1);
  events.append(JOB, { message: "three" });
  events.append("ftjob-b", { message: "of another job" });
  assert.deepEqual(idsOf(await more), ["3"]);
  const end = frames(reader, 2);
  isOver = true;
  events.append(JOB, { message: "four" });
  const last = await end;
  assert.deepEqual(idsOf(last), ["4", "4"]);
  assert.match(last.at(-1)!, /^event: done/);
  assert.equal((await reader.read()).done, true);
  assert.equal(ends, 1);
  const replayed = await frames(feed.stream({ ...options, after: 2 }).getReader(), 4);
  assert.deepEqual(idsOf(replayed), ["3", "4", "4"]);
  database.close();
});

Deno.test("EventFeed shows that it is alive, and ends when the client goes", async () => {
  const database = new Database(), events = new EventStore(database);
  let ends = 0;
  const reader = new EventFeed(events).stream({
    jobId: JOB,
    after: 0,
    heartbeatMs: 5,
    isOver: () => false,
    onEnd: () => ends++,
  }).getReader();
  assert.deepEqual(await frames(reader, 3), ["retry: 3000", ": alive", ": alive"]);
  await reader.cancel();
  assert.equal(ends, 1);
  database.close();
});

Deno.test("a hundred who follow a quick run each get every event, and the store is read about once for all", async () => {
  const database = new Database(), events = new EventStore(database), feed = new EventFeed(events);
  let reads = 0, isOver = false;
  const after = events.after.bind(events);
  events.after = (...request) => {
    const found = after(...request);
    if (found.length > 0) reads++;
    return found;
  };
  const options = { jobId: JOB, after: 0, heartbeatMs: 60_000, isOver: () => isOver, onEnd() {} };
  const readers = Array.from({ length: 100 }, () => new Response(feed.stream(options)).text());
  for (let i = 1; i <= 300; i++) {
    events.append(JOB, { message: `step ${i}` });
    if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  isOver = true;
  events.append(JOB, { message: "over" });
  for (const text of await Promise.all(readers)) {
    assert.deepEqual(
      idsOf(text.split("\n\n")).slice(0, -1).map(Number),
      Array.from({ length: 301 }, (_, i) => i + 1),
    );
    assert.match(text, /event: done\nid: 301\ndata: \[DONE\]\n\n$/);
  }
  assert.ok(reads < 100, `${reads} reads of 30 100 events told`);
  database.close();
});

Deno.test("events over HTTP: streams by Accept, goes on after Last-Event-ID, and so many at a time", () =>
  withServer({ maxEventStreams: 1 }, async ({ app, deps }) => {
    const { id } = deps.jobs.create(NEW_JOB);
    for (const message of ["one", "two", "three"]) deps.events.append(id, { message });
    const ask = (headers: Record<string, string>) =>
      app.request(`/v1/fine_tuning/jobs/${id}/events`, {
        headers: { accept: "text/event-stream", ...headers },
      });
    const response = await ask({ "last-event-id": "2" });
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
    const reader = response.body!.getReader();
    assert.deepEqual(idsOf(await frames(reader, 2)), ["3"]);
    assert.equal((await ask({})).status, 429);
    await reader.cancel();
    const again = await ask({});
    assert.equal(again.status, 200);
    await again.body!.cancel();
    assert.equal((await ask({ "last-event-id": "x; DROP" })).status, 400);
  }));

Deno.test("no caller, by token or else by address, takes all streams of events from the others", async () => {
  const limits = { maxEventStreams: 3, maxCallerStreams: 2 };
  const ask = async (app: App, headers: Record<string, string>, remoteAddress: string, path: string) => {
    const response = await app.request(path, { headers: { accept: "text/event-stream", ...headers } }, {
      remoteAddress,
    });
    if (response.status === 200) return () => response.body!.cancel();
    const text = await response.text();
    return `${response.status} ${response.headers.get("retry-after")} ${/You have 2|All 3/.exec(text)?.[0]}`;
  };
  const close = (end: string | (() => Promise<void>)) => typeof end === "string" ? assert.fail(end) : end();
  const records = new MemoryJobRecords();
  await withServer({ ...limits, anonymous: false }, async ({ app, deps, bearer }) => {
    const job = `/v1/fine_tuning/jobs/${deps.jobs.create(NEW_JOB).id}/events`, record = "/api/jobs/run";
    await records.write("run", { at: 1, status: "running" });
    const one = bearer("jobs:read", "records:read"), other = bearer("jobs:read", "records:read");
    const open = [await ask(app, one, "192.0.2.1", job), await ask(app, one, "192.0.2.2", record)];
    for (const path of [job, record]) {
      assert.equal(await ask(app, one, "192.0.2.3", path), "429 10 You have 2");
    }
    open.push(await ask(app, other, "192.0.2.1", job));
    assert.equal(await ask(app, other, "192.0.2.1", job), "429 10 All 3");
    await close(open.shift()!);
    open.push(await ask(app, one, "192.0.2.1", record));
    for (const end of open) await close(end);
  }, { records });
  await withServer(limits, async ({ app, deps }) => {
    const job = `/v1/fine_tuning/jobs/${deps.jobs.create(NEW_JOB).id}/events`;
    const open = [await ask(app, {}, "192.0.2.1", job), await ask(app, {}, "192.0.2.1", job)];
    assert.equal(await ask(app, {}, "192.0.2.1", job), "429 10 You have 2");
    open.push(await ask(app, {}, "192.0.2.2", job));
    for (const end of open) await close(end);
  });
});

Deno.test("CheckpointStore keeps what is on the disk, the latest first", () => {
  const database = new Database(), checkpoints = new CheckpointStore(database);
  for (const step of [2, 4, 4, 6]) checkpoints.add(JOB, step, { step });
  checkpoints.keepOnly(JOB, [4, 6]);
  const { entries } = checkpoints.list(JOB, null, 10)!;
  assert.deepEqual(entries.map(({ step }) => step), [6, 4]);
  assert.deepEqual(checkpoints.list(JOB, entries[0]!.id, 10)!.entries.map(({ step }) => step), [4]);
  assert.equal(checkpoints.list(JOB, "ftckpt_none", 10), null);
  database.close();
});
