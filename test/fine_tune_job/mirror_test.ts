/**
 * Copies of checkpoints in the bucket of the results: what is there while a run goes on, and what another machine makes of
 * it.
 */
import assert from "node:assert/strict";
import { StorageInterruptedError } from "../../src/errors.ts";
import { CheckpointMirror } from "../../src/fine_tune_job/checkpoint_mirror.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { type ReadableFolder, writeFile } from "../../src/storage.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { parseStorageUri } from "../../src/storage_uri.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn } from "../helpers/job_disk.ts";
import { ofType } from "../helpers/job_runs.ts";

const WIRE = {
  max_steps: 6,
  save_steps: 2,
  batch_size: 2,
  train_test_split: 0.2,
  output_uri: "gs://my-bucket/tuned",
};

const opens = (bucket: StorageManager) => (uri: string) =>
  Promise.resolve({ storage: bucket, name: parseStorageUri(uri).name });

/** A bucket whose uploads of checkpoints do something else. */
function bucketWith(upload: StorageManager["uploadFolder"]): MemoryStorageManager {
  const bucket = new MemoryStorageManager("my-bucket"), plain = bucket.uploadFolder.bind(bucket);
  bucket.uploadFolder = (from, prefix, options) =>
    (prefix.includes("/checkpoint-") ? upload : plain)(from, prefix, options);
  return bucket;
}

/** What is copied, without the names of the files in each checkpoint. */
async function copiesIn(bucket: StorageManager): Promise<string[]> {
  const names = (await Array.fromAsync(bucket.list("tuned/checkpoints/"))).map(({ name }) =>
    name.split("/")[2]!
  );
  return [...new Set(names)];
}

async function readBytes(folder: ReadableFolder, name: string): Promise<Uint8Array> {
  const file = await folder.open(name);
  return await file.read(0, file.size);
}

async function settled(done: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 500 && !await done(); turn++) await new Promise((over) => setTimeout(over, 10));
}

onGpu(
  "a run that is lost goes on from the bucket on another machine, and ends as one that was never lost",
  async () => {
    const whole = await jobDisk(), bucket = new MemoryStorageManager("my-bucket");
    await Array.fromAsync(jobOn(whole, { ...WIRE, output_uri: null }).run());
    const lost = await jobDisk();
    for await (const event of jobOn(lost, WIRE, { storage: opens(bucket) }).run()) {
      if (event.type !== "checkpointed" || event.step < 4) continue;
      await settled(() => bucket.exists("tuned/checkpoints/checkpoint-4/resume.json"));
      break; // as a machine that is gone: nothing more is done
    }
    assert.deepEqual(await copiesIn(bucket), [
      ...["checkpoint-2", "checkpoint-4", "metrics.jsonl", "run.json", "training_config.json"],
    ]);

    const other = await jobDisk();
    // what is there is brought here, too, where no more is to be copied
    const wire = { ...WIRE, resume: "auto", upload_checkpoints: false };
    const job = jobOn(other, wire, { storage: opens(bucket) });
    const events = await Array.fromAsync(job.run());
    assert.deepEqual(ofType(events, "resumed").map(({ step }) => step), [4]);
    const told = ofType(events, "transfer").filter(({ files, totalFiles, direction }) =>
      files === totalFiles && direction === "download"
    ).map(({ what }) => what);
    assert.deepEqual(told, ["the run's course", "the checkpoint of step 2", "the checkpoint of step 4"]);
    for (const name of ["adapter/adapter_model.safetensors", "checkpoint-6/optimizer.safetensors"]) {
      const [folder, file] = name.split("/") as [string, string];
      const of = (disk: MemoryFolder) => readBytes(disk.folder("runs/ember").folder(folder), file);
      assert.deepEqual(await of(other), await of(whole), name);
    }
    const lines = async (disk: MemoryFolder) =>
      new TextDecoder().decode(await readBytes(disk.folder("runs/ember"), "metrics.jsonl")).trimEnd().split(
        "\n",
      )
        .map((line) => [JSON.parse(line).step, JSON.parse(line).loss]);
    assert.deepEqual(await lines(other), await lines(whole));
    assert.deepEqual(await copiesIn(bucket), [], "a completed run needs no copies");
    assert.ok(await bucket.exists("tuned/adapter/adapter_model.safetensors"));
  },
);

onGpu(
  "training waits for no copy: one that hangs is ended with the run, and one that fails is told once",
  async () => {
    const hanging = bucketWith((_from, _prefix, { signal } = {}) =>
      new Promise((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason)))
    );
    const events = await Array.fromAsync(jobOn(await jobDisk(), WIRE, { storage: opens(hanging) }).run());
    assert.equal(events.at(-1)!.type, "finished");
    assert.ok(await hanging.exists("tuned/run.json"));

    const failing = bucketWith(() =>
      Promise.reject(new StorageInterruptedError("Cannot write it as it was cut"))
    );
    const told = await Array.fromAsync(jobOn(await jobDisk(), WIRE, { storage: opens(failing) }).run());
    assert.equal(told.at(-1)!.type, "finished");
    assert.deepEqual(ofType(told, "warning").map(({ message }) => message), [
      "Cannot write it as it was cut; training goes on, and the next checkpoint is copied again",
    ]);

    const none = new MemoryStorageManager("my-bucket"), asked: string[] = [];
    none.uploadFolder =
      ((upload) => (from, prefix, options) => (asked.push(prefix), upload(from, prefix, options)))(
        none.uploadFolder.bind(none),
      );
    const wire = { ...WIRE, upload_checkpoints: false };
    await Array.fromAsync(jobOn(await jobDisk(), wire, { storage: opens(none) }).run());
    assert.deepEqual(asked, ["tuned/"]);
  },
);

onGpu("a run that is told to stop copies its last checkpoint first", async () => {
  const disk = await jobDisk(), bucket = new MemoryStorageManager("my-bucket"), stop = new AbortController();
  const wire = { ...WIRE, save_steps: 0, save_minutes: 0, logging_steps: 1 }, events: TrainingEvent[] = [];
  const run = async () => {
    for await (const event of jobOn(disk, wire, { storage: opens(bucket), signal: stop.signal }).run()) {
      events.push(event);
      if (event.type === "step" && event.step === 3) stop.abort(new Error("preempted"));
    }
  };
  await assert.rejects(run, /preempted/);
  assert.deepEqual(ofType(events, "checkpointed").map(({ step }) => step), [3]);
  assert.ok(await bucket.exists("tuned/checkpoints/checkpoint-3/resume.json"));
});

onGpu("a run that begins anew removes the copies of the one before", async () => {
  const bucket = new MemoryStorageManager("my-bucket");
  for (const name of ["checkpoint-90/resume.json", "checkpoint-90/adapter_model.safetensors"]) {
    await bucket.write(`tuned/checkpoints/${name}`, new Uint8Array(1));
  }
  for await (
    const event of jobOn(await jobDisk(), { ...WIRE, overwrite: true }, { storage: opens(bucket) }).run()
  ) {
    if (event.type !== "checkpointed") continue;
    await settled(() => bucket.exists("tuned/checkpoints/checkpoint-2/resume.json"));
    break;
  }
  assert.ok(!(await copiesIn(bucket)).includes("checkpoint-90"));
});

Deno.test("CheckpointMirror copies the newest first, resume.json last, spares what it reads, and follows removals", async () => {
  const bucket = new MemoryStorageManager("my-bucket"), output = new MemoryFolder("out");
  const order: string[] = [], log = (name: string) => void order.push(name.replace("tuned/checkpoints/", ""));
  const place = { storage: bucket, prefix: "tuned/checkpoints/", uri: "gs://my-bucket/tuned/checkpoints" };
  const mirror = new CheckpointMirror(place, output);
  const uploadFolder = bucket.uploadFolder.bind(bucket), uploadFile = bucket.uploadFile.bind(bucket);
  let reading: number | null = null;
  bucket.uploadFolder = (from, prefix, options) => {
    log(prefix);
    reading = mirror.step;
    return uploadFolder(from, prefix, options);
  };
  bucket.uploadFile = (from, file, name, options) => (log(name), uploadFile(from, file, name, options));
  await writeFile(output, "metrics.jsonl", "{}\n");
  for (const step of [2, 4]) {
    for (const name of ["adapter_model.safetensors", "resume.json"]) {
      await writeFile(output.folder(`checkpoint-${step}`), name, `${step}`);
    }
  }
  mirror.push();
  await settled(() => bucket.exists("tuned/checkpoints/checkpoint-2/resume.json"));
  assert.deepEqual(order, [
    "",
    ...["checkpoint-4", "checkpoint-4/resume.json"],
    ...["checkpoint-2", "checkpoint-2/resume.json"],
  ]);
  assert.equal(reading, 2);
  await output.removeFolder("checkpoint-2");
  mirror.push();
  await Array.fromAsync(mirror.settle());
  assert.deepEqual(await copiesIn(bucket), ["checkpoint-4", "metrics.jsonl"]);
  assert.equal(mirror.step, null);
});
