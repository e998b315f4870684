import assert from "node:assert/strict";
import type { FineTuneJobDeps } from "../../src/fine_tune_job.ts";
import { StorageDeniedError, StorageInterruptedError } from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { readText } from "../../src/storage.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { parseStorageUri } from "../../src/storage_uri.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn, ROWS } from "../helpers/job_disk.ts";
import { ofType, readJson } from "../helpers/job_runs.ts";

const WIRE = { max_steps: 1, gcs_bucket: "my-bucket", train_test_split: 0 };
const text = (value: string) => new TextEncoder().encode(value);

/** Opens one bucket, whatever its URI. */
function deps(bucket: StorageManager): Partial<FineTuneJobDeps> {
  return { storage: (uri) => Promise.resolve({ storage: bucket, name: parseStorageUri(uri).name }) };
}

async function names(bucket: StorageManager): Promise<string[]> {
  return (await Array.fromAsync(bucket.list())).map(({ name }) => name);
}

function leftovers(disk: MemoryFolder): Promise<string[]> {
  return disk.folder("runs/ember").folders().then((found) =>
    found.filter((name) => /^(downl|upl)oad/.test(name))
  );
}

onGpu("a job with a bucket takes its data from there and puts all results back", async () => {
  const disk = await jobDisk(), bucket = new MemoryStorageManager("my-bucket");
  await bucket.write("team/data/train-1.jsonl", text(ROWS));
  await bucket.write("team/data/template.jinja", text("{{ messages[0].content }}"));
  const wire = { ...WIRE, gcs_prefix: "team", save: "both", chat_template_path: "data/template.jinja" };
  const training_data_path = "./data/train-?.jsonl";
  const job = jobOn(disk, { ...wire, training_data_path }, deps(bucket));
  const events = await Array.fromAsync(job.run());
  const transfers = ofType(events, "transfer").filter(({ files, totalFiles }) => files === totalFiles);
  assert.deepEqual(transfers.map(({ direction, what, files }) => [direction, what, files]), [
    ["download", "the data", 2],
    ["upload", "the results", 12],
  ]);
  assert.equal(transfers[0]!.totalBytes, ROWS.length + 25);
  assert.deepEqual(
    (await names(bucket)).filter((name) => !name.includes("data/")),
    [
      "team/models/ember/adapter/README.md",
      "team/models/ember/adapter/adapter_config.json",
      "team/models/ember/adapter/adapter_model.safetensors",
      "team/models/ember/merged/README.md",
      "team/models/ember/merged/config.json",
      "team/models/ember/merged/model.safetensors",
      "team/models/ember/merged/tokenizer.json",
      "team/models/ember/merged/tokenizer_config.json",
      "team/models/ember/metrics.jsonl",
      "team/models/ember/report.html",
      "team/models/ember/run.json",
      "team/models/ember/trainer_state.json",
      "team/models/ember/training_config.json",
    ],
  );
  const stored = async (name: string) =>
    JSON.parse(new TextDecoder().decode(await bucket.read(`team/models/ember/${name}`)));
  const record = await stored("run.json");
  assert.deepEqual([record.status, record.upload], [
    "completed",
    { uri: "gs://my-bucket/team/models/ember", done: true },
  ]);
  assert.deepEqual(record.data[0].file, "gs://my-bucket/team/data/train-1.jsonl");
  const config = await stored("training_config.json");
  assert.deepEqual(config, await readJson(disk.folder("runs/ember"), "training_config.json"));
  assert.deepEqual([config.training_data_path, config.max_steps], [training_data_path, 1]);
  assert.ok(config.$versions.lowrank);
  assert.deepEqual(await leftovers(disk), []);
});

onGpu("an upload that is cut leaves everything here, and the next run uploads without training", async () => {
  const disk = await jobDisk(), bucket = new MemoryStorageManager("my-bucket");
  const cut = Object.create(bucket, {
    uploadFolder: {
      value: () => Promise.reject(new StorageInterruptedError("Cannot write it as it was cut")),
    },
  }) as StorageManager;
  for (const name of ["write", "remove", "listPage"] as const) {
    Object.defineProperty(cut, name, { value: bucket[name].bind(bucket) });
  }
  const wire = { ...WIRE, training_data_path: "train.jsonl" };
  await assert.rejects(Array.fromAsync(jobOn(disk, wire, deps(cut)).run()), {
    name: "StorageInterruptedError",
    message: 'Cannot write it as it was cut. The run is trained and saved in "disk/runs/ember": ' +
      '"lowrank resume disk/runs/ember", or the same command with --resume auto, uploads what is missing',
  });
  const output = disk.folder("runs/ember");
  const failed = await readJson(output, "run.json");
  assert.deepEqual([failed.status, failed.upload.done], ["failed", false]);
  assert.ok((await output.folder("adapter").list()).length > 0);
  const saved = await readText(output, "metrics.jsonl");
  const again: TrainingEvent[] = await Array.fromAsync(
    jobOn(disk, { ...wire, resume: "auto" }, deps(bucket)).run(),
  );
  assert.deepEqual(ofType(again, "step"), []);
  assert.equal(ofType(again, "finished")[0]!.steps, 1);
  assert.equal(await readText(output, "metrics.jsonl"), saved);
  assert.ok(await bucket.exists("models/ember/adapter/adapter_model.safetensors"));
  const record = await readJson(output, "run.json");
  assert.deepEqual([record.status, record.error, record.upload.done], ["completed", null, true]);
  await assert.rejects(
    Array.fromAsync(jobOn(disk, { ...wire, overwrite: false, output_dir: "runs/other" }, deps(bucket)).run()),
    /output_uri: "gs:\/\/my-bucket\/models\/ember" holds files already \(adapter\/README\.md\)/,
  );
});

Deno.test("a job finds out before it reads anything that its bucket cannot be written to", async () => {
  const disk = await jobDisk();
  const denied = Object.create(new MemoryStorageManager(), {
    write: { value: () => Promise.reject(new StorageDeniedError("no")) },
  }) as StorageManager;
  const events: TrainingEvent[] = [];
  const run = async () => {
    for await (const event of jobOn(disk, WIRE, deps(denied)).run()) events.push(event);
  };
  await assert.rejects(run, { name: "StorageDeniedError" });
  assert.deepEqual(events, []);
  await assert.rejects(
    Array.fromAsync(jobOn(disk, WIRE).run()),
    /output_uri: names "gs:\/\/my-bucket\/models\/ember"/,
  );
});

Deno.test("a job removes what it downloaded when it fails, and names the file of the bucket", async () => {
  const disk = await jobDisk(), bucket = new MemoryStorageManager("my-bucket");
  await bucket.write("bad.jsonl", text("nonsense\n"));
  const wire = { ...WIRE, training_data_path: "bad.jsonl" };
  await assert.rejects(Array.fromAsync(jobOn(disk, wire, deps(bucket)).run()), {
    name: "DatasetFormatError",
    message: /^gs:\/\/my-bucket\/bad\.jsonl:1: /,
  });
  assert.deepEqual(await leftovers(disk), []);
  assert.deepEqual(await names(bucket), ["bad.jsonl"]);
  await assert.rejects(
    Array.fromAsync(jobOn(disk, { ...WIRE, training_data_path: "gone.jsonl" }, deps(bucket)).run()),
    { name: "StorageNotFoundError", message: /memory:\/\/my-bucket\/gone\.jsonl/ },
  );
});

Deno.test("a job that is stopped while it looks whether the bucket can be written to leaves nothing there", async () => {
  class SilentBucket extends MemoryStorageManager {
    override async write(
      ...[name, bytes, condition, signal]: Parameters<StorageManager["write"]>
    ): Promise<never> {
      await super.write(name, bytes, condition);
      stopping.abort(reason); // the file is there; its answer never comes
      throw signal!.reason;
    }
  }
  const stopping = new AbortController(), reason = new Error("asked to stop");
  const bucket = new SilentBucket("my-bucket"), { signal } = stopping;
  const wire = { ...WIRE, training_data_path: "data/train.jsonl" };
  await assert.rejects(
    Array.fromAsync(jobOn(await jobDisk(), wire, { ...deps(bucket), signal }).run()),
    reason,
  );
  assert.deepEqual(await names(bucket), []);
});
