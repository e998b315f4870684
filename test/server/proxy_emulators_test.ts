/**
 * The proxy over HTTP, with a real bucket service and a real Firestore behind it.
 */
import assert from "node:assert/strict";
import { FirestoreJobRecords } from "../../src/job_tracker/firestore.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { makeGcsBucket, startGcs } from "../helpers/bucket_services.ts";
import { withoutEmulator } from "../helpers/emulators.ts";
import { startFirestoreEmulator } from "../helpers/firestore.ts";
import { withServer } from "../helpers/server_app.ts";
import { noise, same } from "../storage/storage_contract.ts";
import { recordEvents } from "./record_events.ts";

// no credentials are looked for
Deno.env.set("METADATA_SERVER_DETECTION", "none");

const ignore = withoutEmulator("fake-gcs-server");

Deno.test({
  name: `pages read ranges of a bucket, go on with an upload that was cut, and reach nothing else${
    ignore ? ` (skipped: ${ignore})` : ""
  }`,
  ignore: ignore !== null,
  async fn() {
    const gcs = await startGcs();
    const endpoint = `http://127.0.0.1:${gcs.port}`;
    await makeGcsBucket(endpoint, "bucket");
    const storage = new GcsStorageManager("bucket", { endpoint });
    const bytes = noise(9 * 2 ** 20 + 3);
    await storage.write("data/a.bin", bytes.subarray(0, 5000));
    await storage.write("data-secret/x", bytes.subarray(0, 10));
    const areas = [
      { path: "gs/bucket/data", storage, prefix: "data/", isWritable: false },
      { path: "gs/bucket/out", storage, prefix: "out/", isWritable: true },
    ];
    await withServer({}, async ({ app }) => {
      await using http = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        (request) => app.fetch(request),
      );
      const root = `http://127.0.0.1:${http.addr.port}/api`;
      const ask = (path: string, options: RequestInit = {}) => fetch(`${root}/${path}`, options);
      const range = await ask("storage/gs/bucket/data/a.bin", { headers: { range: "bytes=4000-4099" } });
      const part = new Uint8Array(await range.arrayBuffer());
      assert.deepEqual([range.status, range.headers.get("content-range")], [206, "bytes 4000-4099/5000"]);
      assert.ok(same(part, bytes.subarray(4000, 4100)));
      const known = await ask("storage/gs/bucket/data/a.bin", {
        headers: { "if-none-match": range.headers.get("etag")! },
      });
      assert.deepEqual([known.status, await known.text()], [304, ""]);
      const head = await ask("storage/gs/bucket/data/a.bin", { method: "HEAD" });
      assert.equal(head.headers.get("content-length"), "5000");
      for (const path of ["data-secret/x", "secret", ""]) {
        const denied = await ask(`storage/gs/bucket/${path}`);
        assert.equal((await denied.json()).code, "storage_not_allowed", path);
      }

      const begun = await ask("storage/gs/bucket/out/big.bin", {
        method: "POST",
        body: JSON.stringify({ bytes: bytes.length }),
        headers: { "content-type": "application/json", "if-none-match": "*" },
      });
      const address = `uploads/${(await begun.json()).id}`;
      const send = (from: number, body: BodyInit, signal?: AbortSignal) =>
        ask(address, {
          method: "PUT",
          body,
          headers: { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` },
          ...(signal ? { signal } : {}),
        });
      const offset = async () => (await (await ask(address)).json()).offset as number;
      const cut = new AbortController();
      const half = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(bytes.slice(0, 2 ** 23 + 2 ** 19)), // and no more
      });
      const broken = send(0, half, cut.signal);
      broken.catch(() => {});
      const until = performance.now() + 20_000;
      while (await offset() === 0 && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      cut.abort();
      await assert.rejects(broken);
      const from = await offset();
      assert.equal(from, 8 * 2 ** 20);
      assert.equal(await storage.exists("out/big.bin"), false);
      const done = await send(from, bytes.slice(from));
      assert.deepEqual([done.status, (await done.json()).path], [200, "gs/bucket/out/big.bin"]);
      const back = new Uint8Array(await (await ask("storage/gs/bucket/out/big.bin")).arrayBuffer());
      assert.ok(same(back, bytes));
      const taken = await ask("storage/gs/bucket/out/big.bin", {
        method: "PUT",
        body: "x",
        headers: { "if-none-match": "*" },
      });
      assert.deepEqual([taken.status, (await taken.json()).code], [412, "precondition_failed"]);
      assert.equal((await ask("storage/gs/bucket/out/big.bin", { method: "DELETE" })).status, 204);
      const { data } = await (await ask("storage/gs/bucket/out/")).json();
      assert.deepEqual(data, []);
    }, { areas });
    await gcs.stop();
  },
});

Deno.test("two pages see live in Firestore how a run in a third one stands", async () => {
  const emulator = await startFirestoreEmulator();
  const where = { projectId: "test", collection: "proxied", emulatorHost: emulator.host };
  const records = new FirestoreJobRecords(where), elsewhere = new FirestoreJobRecords(where);
  await withServer({}, async ({ app }) => {
    await using http = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => app.fetch(request),
    );
    const address = `http://127.0.0.1:${http.addr.port}/api/jobs/run-1`;
    const update = async (body: unknown) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(address, { method: "PATCH", body: JSON.stringify(body), headers });
      assert.equal(response.status, 200, await response.text());
    };
    await update({ status: "running" });
    const follow = async () =>
      recordEvents(await fetch(address, { headers: { accept: "text/event-stream" } }));
    const pages = [await follow(), await follow()];
    const see = async (progress: number, status = "running") => {
      for (const page of pages) {
        const { value } = await page.next();
        assert.deepEqual([value!.progress, value!.status], [progress, status]);
      }
    };
    await see(0);
    await update({ progress: 0.5 });
    await see(0.5);
    await elsewhere.write("run-1", { at: Date.now(), progress: 0.75 }); // another process
    await see(0.75);
    await update({ status: "completed", progress: 1 });
    await see(1, "completed");
    for (const page of pages) assert.equal((await page.next()).done, true);
    assert.equal((await records.read("run-1"))!.status, "completed");
  }, { records });
  await Promise.all([records.close(), elsewhere.close()]);
  emulator.stop();
});
