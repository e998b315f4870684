import assert from "node:assert/strict";
import { openTracker } from "../../src/cli/open_tracker.ts";
import { runCommand } from "../../src/cli/run.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { DivergedError } from "../../src/errors.ts";
import { DISABLED_TRACKER, type JobRecord } from "../../src/job_tracker.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import { fakeIo, type FakeIoOptions, FINISHED_EVENT, stepEvent, SUMMARY_EVENT } from "./fake_io.ts";

const JOB = [
  "--base-model",
  "models/tiny",
  "--output-model-name",
  "ember",
  "--training-data-path",
  "t.jsonl",
];

/** Runs `train` with a tracker in a new folder, and looks what is recorded of job `run-7`. */
async function tracked(options: FakeIoOptions, ...flags: string[]) {
  const path = await Deno.makeTempDir();
  try {
    const { io, stderr } = fakeIo(options);
    const args = [
      "train",
      ...JOB,
      ...flags,
      ...(flags.includes("--tracker-path") ? [] : ["--tracker-path", `${path}/jobs.db`]),
    ];
    const code = await runCommand(args, { ...io, openTracker });
    let record: JobRecord | null = null;
    const files = [...Deno.readDirSync(path)].map(({ name }) => name);
    if (files.includes("jobs.db")) {
      const store = new SqliteJobRecords(`${path}/jobs.db`);
      record = await store.read("run-7");
      await store.close();
    }
    return { code, record, err: stderr.text, files };
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("train --job-id records a run from its start to its end", async () => {
  const events = () => [SUMMARY_EVENT, stepEvent(1, 2), stepEvent(200, 1), FINISHED_EVENT];
  const { code, record, err } = await tracked({ events }, "--job-id", "run-7");
  assert.deepEqual([code, err], [0, ""]);
  assert.deepEqual([record!.status, record!.progress, record!.error], ["completed", 1, null]);
  assert.equal(record!.metadata.base_model, "models/tiny");
  assert.equal(record!.metadata.eval_loss_after, 1.104);
});

Deno.test("train --job-id records why a run failed, and that it was stopped", async () => {
  const failing = function* () {
    yield SUMMARY_EVENT;
    yield stepEvent(200, 1);
    throw new DivergedError("the loss is NaN at step 201", 201);
  };
  const failed = await tracked({ events: failing }, "--job-id", "run-7");
  assert.deepEqual([failed.code, failed.record!.status], [6, "failed"]);
  assert.equal(failed.record!.error, "the loss is NaN at step 201");
  assert.ok(failed.record!.progress > 0.4);
  const events = () => [SUMMARY_EVENT, stepEvent(1, 2), FINISHED_EVENT];
  const stopped = await tracked({ events, interruptBy: "SIGTERM" }, "--job-id", "run-7");
  assert.deepEqual([stopped.code, stopped.record!.status], [143, "cancelled"]);
});

Deno.test("train records nothing without an id, in a dry run, or where no tracker is wanted", async () => {
  const events = () => [SUMMARY_EVENT, FINISHED_EVENT];
  for (const flags of [[], ["--job-id", "run-7", "--tracker", "none"], ["--job-id", "run-7", "--dry-run"]]) {
    const { code, files } = await tracked({ events }, ...flags);
    assert.deepEqual([code, files], [0, []]);
  }
  const { code, err } = await tracked({ events }, "--tracker", "sqlite");
  assert.equal(code, 2);
  assert.match(err, /--job-id must be given, as tracker sqlite records a job by its id/);
});

Deno.test("train goes on when its records cannot be written", async () => {
  const events = () => [SUMMARY_EVENT, stepEvent(200, 1), FINISHED_EVENT];
  const { code, err } = await tracked(
    { events },
    "--job-id",
    "run-7",
    "--tracker-path",
    "/proc/none/jobs.db",
  );
  assert.equal(code, 0);
  assert.match(
    err,
    /warning: job run-7: \d+ updates did not reach \/proc\/none\/jobs\.db; the job is not affected/,
  );
});

Deno.test("openTracker() takes Firestore where its project is named", async () => {
  const parse = (wire: Readonly<Record<string, unknown>>) =>
    parseFineTuneJobConfig({ base_model: "b", output_model_name: "o", training_data_path: "t", ...wire }).job;
  assert.equal(await openTracker(parse({}), () => {}), DISABLED_TRACKER);
  const warnings: string[] = [];
  const tracker = await openTracker(
    parse({ job_id: "j", firestore_project: "p" }),
    (text) => void warnings.push(text),
  );
  assert.notEqual(tracker, DISABLED_TRACKER);
  await tracker.close();
  assert.deepEqual(warnings, []);
});
