import assert from "node:assert/strict";
import { ModelSource } from "../../src/model_source.ts";
import type { ReadableFolder } from "../../src/storage.ts";
import type { OpenStorage } from "../../src/storage_manager.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { HubSnapshots } from "../../src/storage/hub_snapshots.ts";
import { SnapshotCache } from "../../src/storage/snapshot_cache.ts";
import { onGpu } from "../helpers/device.ts";
import { folderAt, jobDisk, jobOn } from "../helpers/job_disk.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";

onGpu(
  "a job takes its base model from its bucket, tells of the download, and keeps the model's name",
  async () => {
    const disk = await jobDisk(), bucket = new MemoryStorageManager(), cache = new MemoryFolder("cache");
    const model = new MemoryFolder();
    await writeTinyModel(model);
    await bucket.uploadFolder(model, "team/models/tiny");
    const storage: OpenStorage = (uri) =>
      Promise.resolve({ storage: bucket, name: uri.replace(/^gs:\/\/bucket\/?/, "") });
    const open = () => assert.fail("the Hub is not asked");
    const hub = new HubSnapshots({ cache: new SnapshotCache(cache), open });
    const source = new ModelSource({ files: (path) => folderAt(disk, path), hub: () => hub, storage });
    const wire = { base_model: "tiny", gcs_bucket: "bucket", gcs_prefix: "team" };
    const deps = { dryRun: true, storage, findModel: source.find };
    const events = await Array.fromAsync(jobOn(disk, wire, deps).run());
    const moved = events.filter((event) => event.type === "transfer" && event.what === "the base model");
    assert.deepEqual(
      moved.map((event) => event.type === "transfer" && [event.direction, event.files]).at(-1),
      [
        "download",
        4,
      ],
    );
    const started = events.find((event) => event.type === "started");
    assert.equal(started?.summary.baseModel, "tiny");
    const again = await Array.fromAsync(jobOn(disk, wire, deps).run());
    assert.ok(!again.some((event) => event.type === "transfer"), "a second run has it");
    await source.close();
  },
);

onGpu("a plan reads of the weights no more than what their header says", async () => {
  const disk = await jobDisk(), model = new MemoryFolder(), read: [offset: number, length: number][] = [];
  await writeTinyModel(model);
  const folder: ReadableFolder = {
    uri: "far/tiny",
    list: () => model.list(),
    exists: (name) => model.exists(name),
    open: async (name) => {
      const file = await model.open(name);
      if (!name.endsWith(".safetensors")) return file;
      return {
        uri: file.uri,
        size: file.size,
        read: (offset, length) => {
          read.push([offset, length]);
          return file.read(offset, length);
        },
        close: () => file.close(),
      };
    },
  };
  const findModel = () => Promise.resolve({ name: "tiny", folder, file: null });
  await Array.fromAsync(jobOn(disk, {}, { dryRun: true, findModel }).run());
  assert.deepEqual(read.map(([offset]) => offset), [0, 8]);
  assert.ok(read[1]![1] < 10_000, `${read[1]![1]} bytes`);
});
