import assert from "node:assert/strict";
import type { TrainingEvent } from "../src/job.ts";
import { RunStages } from "../src/run_stages.ts";

const phase = (message: string, stage?: "resolve" | "load" | "train"): TrainingEvent =>
  stage ? { type: "phase", message, stage } : { type: "phase", message };

const transfer = (direction: "download" | "upload", files: number): TrainingEvent => {
  return { type: "transfer", direction, what: "the data", files, totalFiles: 2, bytes: files, totalBytes: 2 };
};

Deno.test("RunStages tells each stage once it is over, with its time", () => {
  let now = 1000;
  const stages = new RunStages(() => now);
  const at = (time: number, event: TrainingEvent) => {
    now = time;
    return stages.add(event);
  };
  assert.equal(stages.end(), null);
  assert.equal(at(1000, phase("reading", "resolve")), null);
  assert.equal(at(1100, phase("still reading")), null);
  const resolved = { stage: "resolve", startedAt: 1000, endedAt: 1300 };
  assert.deepEqual(at(1300, transfer("download", 0)), resolved);
  assert.equal(at(1400, transfer("download", 2)), null);
  const downloaded = { stage: "download", startedAt: 1300, endedAt: 1500 };
  assert.deepEqual(at(1500, phase("loading", "load")), downloaded);
  assert.equal(stages.current, "load");
  now = 1800;
  assert.deepEqual(stages.end(), { stage: "load", startedAt: 1500, endedAt: 1800 });
  assert.equal(stages.current, null);
});
