import assert from "node:assert/strict";
import { noticeOf } from "../../web/page/finish_notice.ts";
import { RunState } from "../../web/page/run_state.ts";
import { tabTitle } from "../../web/page/tab_title.ts";
import { stepEvent } from "../cli/fake_io.ts";

Deno.test("tabTitle() tells how far the running run is in every view, and how the shown one ended", () => {
  const run = new RunState("signals", {});
  assert.equal(tabTitle("train", null, null), "Lowrank");
  assert.equal(tabTitle("history", null, run), "History · Lowrank");
  assert.equal(tabTitle("history", run, run), "Starting · Lowrank");
  run.take(stepEvent(17, 1.842));
  run.totalSteps.value = 50;
  assert.equal(tabTitle("device", run, run), "34 % · loss 1.84 · Lowrank");
  run.failed({ name: "DivergedError", message: "The loss is not finite", issues: [] }, 10);
  assert.equal(tabTitle("run", null, run), "✕ signals · Lowrank");
  assert.deepEqual(noticeOf(run), { title: "signals failed", body: "The loss is not finite" });
  run.stopped(17);
  assert.equal(tabTitle("run", null, run), "signals · Lowrank");
  assert.deepEqual(noticeOf(run).title, "signals is paused");
});
