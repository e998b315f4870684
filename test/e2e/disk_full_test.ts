/**
 * A disk that is full while a run saves: what was good stays, and the run goes on once there is space.
 */
import assert from "node:assert/strict";
import type { FineTuneJobDeps } from "../../src/fine_tune_job.ts";
import { exitCodeOf } from "../../src/cli/exit_codes.ts";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { QueuedTracker } from "../../src/job_tracker/queued.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { device } from "../helpers/device.ts";
import { jobOn, ROWS } from "../helpers/job_disk.ts";
import { ofType, readJson } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const why = !device
  ? "no adapter"
  : Deno.build.os !== "linux" || Deno.uid() !== 0
  ? "only root can make a small file system"
  : null;

async function system(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Takes all space that is left. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  const bytes = new Uint8Array(4096).fill(1);
  try {
    while (true) await file.write(bytes);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "ENOSPC");
  }
}

async function partialIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (name.endsWith(".partial")) found.push(name);
    else if (isDirectory) found.push(...await partialIn(`${folder}/${name}`));
  }
  return found;
}

Deno.test({
  name: `a disk that is full while a run saves costs nothing that was good${why ? ` (skipped: ${why})` : ""}`,
  ignore: why !== null,
  fn: async () => {
    const root = await Deno.makeTempDir({ prefix: "lowrank-full-" });
    await system("mount", "-t", "tmpfs", "-o", "size=4m", "none", root);
    try {
      const disk = new LocalFolder(root), output = disk.folder("runs/ember");
      await writeTinyModel(disk.folder("base"), {});
      await Deno.writeTextFile(`${root}/train.jsonl`, ROWS);
      const records = new MemoryJobRecords();
      const run = async (look: (event: TrainingEvent) => Promise<void> | void = () => {}) => {
        const tracker = new QueuedTracker(records, "job-1", { heartbeatMs: 0 });
        const deps: Partial<FineTuneJobDeps> = { tracker }, events: TrainingEvent[] = [];
        const wire = {
          max_steps: 4,
          save_steps: 2,
          logging_steps: 1,
          save: "both",
          resume: "auto",
          train_test_split: 0,
        };
        for await (const event of jobOn(disk, wire, deps).run()) {
          events.push(event);
          await look(event);
        }
        return events;
      };
      const faults = [
        ["train", "checkpoint-2", null],
        ["save", "checkpoint-4", [3, 4]],
        ["merge", "adapter", []],
      ] as const;
      for (const [stage, kept, trained] of faults) {
        const steps: number[] = [];
        const fillIn = (event: TrainingEvent) => {
          if (event.type === "step") steps.push(event.step);
          const isNow = stage === "train"
            ? event.type === "checkpointed" && event.step === 2
            : event.type === "phase" && event.stage === stage;
          return isNow ? fill(`${root}/filler`) : undefined;
        };
        await assert.rejects(run(fillIn), (error: Error) => {
          assert.match(error.message, /^Cannot (write|append to) ".*" as the disk is full: free some space/);
          assert.equal(exitCodeOf(error), 4);
          return true;
        });
        const record = (await records.read("job-1"))!;
        assert.equal(record.status, "failed");
        assert.match(record.error!, /the disk is full/);
        assert.deepEqual(await partialIn(root), [], stage);
        assert.ok((await output.folder(kept).list()).length > 0, `${kept} after ${stage}`);
        if (trained) assert.deepEqual(steps, trained, "nothing is trained twice");
        await Deno.remove(`${root}/filler`);
      }
      const events = await run();
      assert.deepEqual(ofType(events, "step"), []);
      assert.equal(ofType(events, "finished").length, 1);
      assert.equal((await readJson(output, "run.json")).status, "completed");
      assert.equal((await records.read("job-1"))!.status, "completed");
    } finally {
      await system("umount", root);
      await Deno.remove(root);
    }
  },
});
