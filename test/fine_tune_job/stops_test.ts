/**
 * Jobs that are told to stop in each of their stages: what they leave, and what the next run makes of it.
 */
import assert from "node:assert/strict";
import type { JobStage, TrainingEvent } from "../../src/job.ts";
import { MemoryJobRecords } from "../../src/job_tracker/memory.ts";
import { QueuedTracker } from "../../src/job_tracker/queued.ts";
import { RunStages } from "../../src/run_stages.ts";
import type { Folder } from "../../src/storage.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { parseStorageUri } from "../../src/storage_uri.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { onGpu } from "../helpers/device.ts";
import { jobOn, ROWS } from "../helpers/job_disk.ts";
import { ofType, readJson } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

const WIRE = {
  max_steps: 2,
  save_steps: 1,
  save: "both",
  gcs_bucket: "my-bucket",
  training_data_path: "data/train.jsonl",
  train_test_split: 0,
  resume: "auto",
};

/** Stages in which weights change nothing any more: what they find is never trained again. */
const TRAINED: readonly JobStage[] = ["save", "merge", "upload"];

/**
 * A bucket whose moves of a kind wait until they are told to stop, as over a connection that has gone silent; copies of
 * checkpoints pass.
 */
function silent(bucket: StorageManager, move: "downloadFile" | "uploadFolder", begun: () => void) {
  const wait = (from: Folder, prefix: string, options: { signal: AbortSignal }) => {
    if (move === "uploadFolder" && prefix.includes("/checkpoints/")) {
      return bucket.uploadFolder(from, prefix, options);
    }
    const { signal } = options;
    return new Promise((_, reject) => {
      begun();
      const stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
  };
  return new Proxy(bucket, {
    get(target, name) {
      if (name === move) return wait;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Every file below a folder, hidden ones too, by path. */
async function filesBelow(path: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory) found.push(...await filesBelow(`${path}/${name}`, `${below}${name}/`));
    else found.push(below + name);
  }
  return found.sort();
}

const STAGES: readonly JobStage[] = [
  "download",
  "resolve",
  "tokenise",
  "plan",
  "load",
  "train",
  "save",
  "merge",
  "upload",
];

for (const stage of STAGES) {
  onGpu(
    `a job that is stopped in stage ${stage} leaves nothing half done, and the next run completes it`,
    async () => {
      const root = await Deno.makeTempDir({ prefix: "lowrank-stops-" });
      try {
        const disk = new LocalFolder(root), output = disk.folder("runs/ember");
        await writeTinyModel(disk.folder("base"), {});
        const bucket = new MemoryStorageManager("my-bucket"), records = new MemoryJobRecords();
        await bucket.write("data/train.jsonl", new TextEncoder().encode(ROWS));
        const stopping = new AbortController(), reason = new Error("asked to stop");
        const run = async (
          storage: StorageManager,
          signal: AbortSignal,
          look: (stage: JobStage | null) => void,
        ) => {
          const tracker = new QueuedTracker(records, "job-1", { heartbeatMs: 0 });
          const open = (uri: string) => Promise.resolve({ storage, name: parseStorageUri(uri).name });
          const events: TrainingEvent[] = [], stages = new RunStages();
          for await (const event of jobOn(disk, WIRE, { storage: open, signal, tracker }).run()) {
            events.push(event);
            stages.add(event);
            look(stages.current);
          }
          return events;
        };
        const isMove = stage === "download" || stage === "upload";
        const first = isMove
          ? silent(
            bucket,
            stage === "download" ? "downloadFile" : "uploadFolder",
            () => stopping.abort(reason),
          )
          : bucket;
        await assert.rejects(
          run(first, stopping.signal, (now) => !isMove && now === stage && stopping.abort(reason)),
          reason,
        );
        const record = (await records.read("job-1"))!;
        assert.deepEqual([record.status, record.error], ["cancelled", null]);
        const left = await filesBelow(root);
        assert.deepEqual(
          left.filter((path) => /partial|downloads|lock|write-check/.test(path)),
          [],
        );
        const names = (await Array.fromAsync(bucket.list())).map(({ name }) => name);
        const isCopy = (name: string) => name.startsWith("models/ember/checkpoints/");
        assert.deepEqual(names.filter((name) => !isCopy(name)), ["data/train.jsonl"]);
        // what a stopped run had time for
        if (stage === "save") assert.ok(names.includes("models/ember/checkpoints/checkpoint-2/resume.json"));
        if (left.includes("runs/ember/run.json")) {
          assert.equal((await readJson(output, "run.json")).status, "cancelled");
        }
        if (TRAINED.includes(stage)) assert.ok(left.includes("runs/ember/adapter/adapter_model.safetensors"));

        const events = await run(bucket, new AbortController().signal, () => {});
        assert.equal(ofType(events, "finished").length, 1);
        if (TRAINED.includes(stage)) assert.deepEqual(ofType(events, "step"), []);
        assert.deepEqual((await records.read("job-1"))!.status, "completed");
        assert.equal((await readJson(output, "run.json")).status, "completed");
        assert.ok(!await bucket.exists("models/ember/checkpoints/"));
        for (const name of ["adapter/adapter_model.safetensors", "merged/model.safetensors", "run.json"]) {
          assert.ok(await bucket.exists(`models/ember/${name}`), name);
        }
        const after = await filesBelow(root);
        assert.deepEqual(after.filter((path) => /partial|downloads|lock|upload/.test(path)), []);
      } finally {
        await Deno.remove(root, { recursive: true });
      }
    },
  );
}
