import assert from "node:assert/strict";
import { ROWS, type TestServer, until, uploadForm, withServer } from "../helpers/server_app.ts";

const JOBS = "/v1/fine_tuning/jobs";

/** A job that waits for its first checkpoint from elsewhere. */
async function pausedJob({ app }: TestServer): Promise<string> {
  const sent = await app.request("/v1/files", { method: "POST", body: uploadForm(ROWS) });
  const { id: training_file } = await sent.json();
  const body = JSON.stringify({ model: "tiny", training_file, paused: true });
  const made = await app.request(JOBS, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  const { id, status } = await made.json();
  assert.deepEqual([made.status, status], [200, "paused"]);
  return id;
}

const put = ({ app }: TestServer, id: string, path: string, body = "bytes") =>
  app.request(`/api/runs/${id}/files/${path}`, { method: "PUT", body });

Deno.test("a job that is created paused takes a checkpoint, gives it back, and starts when it is resumed", () =>
  withServer({}, async (server) => {
    const { app, launcher } = server, id = await pausedJob(server);
    for (const path of ["checkpoint-4/resume.json", "metrics.jsonl"]) {
      const answer = await put(server, id, path, path);
      assert.deepEqual([answer.status, await answer.json()], [200, { path, bytes: path.length }]);
    }
    const list = await (await app.request(`/api/runs/${id}/files`)).json();
    assert.deepEqual(list.data, [
      { path: "metrics.jsonl", bytes: 13 },
      { path: "checkpoint-4/resume.json", bytes: 24 },
    ]);
    const file = await app.request(`/api/runs/${id}/files/checkpoint-4/resume.json`);
    assert.equal(await file.text(), "checkpoint-4/resume.json");
    assert.equal(launcher.processes.length, 0);
    await app.request(`${JOBS}/${id}/resume`, { method: "POST" });
    const process = await launcher.started(0);
    assert.equal(await Deno.readTextFile(`${process.order.folder}/run/metrics.jsonl`), "metrics.jsonl");
    const busy = await Promise.all([app.request(`/api/runs/${id}/files`), put(server, id, "metrics.jsonl")]);
    assert.deepEqual(busy.map(({ status }) => status), [409, 409]);
    for (const answer of busy) await answer.body?.cancel();
    await app.request(`${JOBS}/${id}/pause`, { method: "POST" });
    await until(() => process.isStopped);
    process.end({ type: "stopped" });
    await until(async () => (await app.request(`/api/runs/${id}/files`)).status === 200);
  }));

Deno.test("a run gives and takes no other files, and none that are too large", () =>
  withServer({ maxFileBytes: 100 }, async (server) => {
    const { app, folder } = server, id = await pausedJob(server);
    const wrong = [
      "run.json",
      "adapter/x",
      "checkpoint-4/.hidden",
      "checkpoint-4/a/b",
      "checkpoint-x/a",
      "..%2Fx",
    ];
    for (const path of wrong) {
      const answer = await put(server, id, path);
      assert.ok([400, 404].includes(answer.status), `${path}: ${answer.status}`);
    }
    assert.equal((await put(server, id, "checkpoint-4/a", "x".repeat(101))).status, 413);
    assert.deepEqual((await (await app.request(`/api/runs/${id}/files`)).json()).data, []);
    await Deno.writeTextFile(`${folder}/jobs/${id}/run/run.json`, "{}");
    assert.equal((await app.request(`/api/runs/${id}/files/run.json`)).status, 404);
    assert.equal((await app.request("/api/runs/ftjob-none/files")).status, 404);
    await app.request(`${JOBS}/${id}/cancel`, { method: "POST" });
    const late = await put(server, id, "metrics.jsonl");
    assert.deepEqual([late.status, (await late.json()).code], [409, "not_paused"]);
  }));

Deno.test("the page is below /page/, knows its server, and keeps its own policy", async () => {
  const page = await Deno.makeTempDir({ prefix: "lowrank-page-" });
  await Deno.writeTextFile(`${page}/index.html`, "<title>Lowrank</title>");
  await Deno.writeTextFile(`${page}/server.json`, '{ "api": null }');
  await Deno.writeTextFile(`${page}/main.js`, "whole");
  await Deno.writeTextFile(`${page}/main.js.br`, "packed");
  await Deno.writeTextFile(`${page}/chunk-AB12CD34.js`, "whole");
  try {
    await withServer({}, async ({ app }) => {
      assert.equal((await app.request("/")).headers.get("location"), "/page/");
      const index = await app.request("/page/");
      assert.equal(await index.text(), "<title>Lowrank</title>");
      assert.equal(index.headers.get("content-security-policy"), "frame-ancestors 'none'");
      assert.deepEqual(await (await app.request("/page/server.json")).json(), { api: "../" });
      const ask = (name: string, headers: Record<string, string>) =>
        app.request(`/page/${name}`, { headers });
      const script = await ask("main.js", { "accept-encoding": "gzip, br" }), { headers } = script;
      assert.deepEqual([headers.get("content-encoding"), headers.get("cache-control")], ["br", "no-cache"]);
      assert.equal(await script.text(), "packed");
      const same = { "accept-encoding": "gzip, br", "if-none-match": headers.get("etag")! };
      assert.equal((await ask("main.js", same)).status, 304);
      const other = await ask("main.js", { ...same, "accept-encoding": "gzip" });
      assert.deepEqual([other.status, await other.text()], [200, "whole"]);
      const named = await ask("chunk-AB12CD34.js", {});
      assert.match(named.headers.get("cache-control")!, /immutable/);
      await named.body?.cancel();
      for (const path of ["/page/none.js", "/page/../lowrank.db", "/page/%2e%2e/lowrank.db"]) {
        assert.equal((await app.request(path)).status, 404, path);
      }
      assert.match(
        (await app.request("/healthz")).headers.get("content-security-policy")!,
        /default-src 'none'/,
      );
    }, { page: () => Promise.resolve(page) });
    await withServer({}, async ({ app }) => assert.equal((await app.request("/page/")).status, 404));
  } finally {
    await Deno.remove(page, { recursive: true });
  }
});
