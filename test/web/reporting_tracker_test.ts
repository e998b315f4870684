import assert from "node:assert/strict";
import { ReportingTracker } from "../../web/worker/reporting_tracker.ts";

Deno.test("the end of a run reaches a server that was down, once it is back, with all facts about the run", async () => {
  let isDown = true;
  const told: Record<string, unknown>[] = [], warnings: string[] = [];
  const { promise: isTold, resolve } = Promise.withResolvers<void>();
  await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.json();
    if (isDown) return Response.json({ detail: "The store is down." }, { status: 503 });
    told.push(body);
    return Response.json({});
  });
  const tracker = new ReportingTracker({ api: `http://127.0.0.1:${http.addr.port}/`, token: "" }, "page-1", {
    ...{ attempts: 50, pauseMs: 5, heartbeatMs: 0, closeMs: 50, endPauseMs: 20 },
    warn: (message) => {
      warnings.push(message);
      if (/told now/.test(message)) resolve();
    },
  });
  tracker.markRunning({ base_model: "ember" });
  tracker.setProgress(0.5);
  tracker.markCompleted({ steps: 7 });
  assert.ok((await tracker.close()).dropped > 0);
  assert.match(warnings[0]!, /did not reach .* the job is not affected$/);
  isDown = false;
  await isTold;
  const metadata = { base_model: "ember", steps: 7 };
  assert.deepEqual(told.at(-1), { status: "completed", progress: 1, error: null, metadata });
});

Deno.test("an end that the server refuses is not told again, and one that arrived neither", async () => {
  for (const [status, most] of [[200, 2], [403, 5]] as const) {
    let asked = 0;
    await using http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      await request.body?.cancel();
      asked++;
      return Response.json({}, { status });
    });
    const tracker = new ReportingTracker(
      { api: `http://127.0.0.1:${http.addr.port}/`, token: "" },
      "page-1",
      {
        ...{ attempts: 2, pauseMs: 1, heartbeatMs: 0, endPauseMs: 5, warn: () => {} },
      },
    );
    tracker.markRunning();
    tracker.markFailed("broken");
    await tracker.close();
    await new Promise((wake) => setTimeout(wake, 100));
    assert.ok(asked >= 1 && asked <= most, `${status}: ${asked}`);
  }
});
