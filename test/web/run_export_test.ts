import assert from "node:assert/strict";
import { loraUpdates, readAdapter, writeAdapter } from "../../src/checkpoint/adapter.ts";
import { mergedValues } from "../../src/checkpoint/merge.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { writeFile } from "../../src/storage.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import type { ByteProgress } from "../../web/protocol/job.ts";
import type { ExportOrder } from "../../web/protocol/runs.ts";
import { PageFiles } from "../../web/worker/page_files.ts";
import { exportRun } from "../../web/worker/run_export.ts";
import { tinyAdapter } from "../helpers/tiny_adapter.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { unzipped } from "../helpers/zip.ts";

/** A store with a base model on the device, and a run with an adapter and a checkpoint. */
async function storeWithRun(): Promise<{ root: MemoryFolder; files: PageFiles }> {
  const root = new MemoryFolder("store"), files = new PageFiles(root, "http://page/");
  await writeTinyModel(root.folder("device/models/tiny"));
  const base = await new ModelManager(files.at).open("device/models/tiny"), adapter = tinyAdapter(base);
  await base.weights.close();
  const config = { ...adapter.config, baseModel: "device/models/tiny" }, run = root.folder("runs/ember");
  for (const name of ["adapter", "checkpoint-2"]) {
    await writeAdapter(run.folder(name), { ...adapter, config });
  }
  await writeFile(run.folder("checkpoint-2"), "optimizer.safetensors", "moments");
  await writeFile(run.folder("adapter"), "README.md", "card");
  await writeFile(run, "run.json", JSON.stringify({ config: { load_in_4bit: false } }));
  return { root, files };
}

const ORDER: ExportOrder = { run: "ember", checkpoint: null, what: "adapter", ggufType: "F32", target: null };

async function exported(
  order: Partial<ExportOrder>,
  { root, files }: { root: MemoryFolder; files: PageFiles },
) {
  const told: ByteProgress[] = [], { signal } = new AbortController();
  const deps = { root, files, signal, onProgress: (progress: ByteProgress) => void told.push(progress) };
  const { name, content } = await exportRun({ ...ORDER, ...order }, deps);
  return { name, content: new Uint8Array(await content!.arrayBuffer()), told };
}

Deno.test("exportRun() zips the adapter, or that of a checkpoint without its moments", async () => {
  const store = await storeWithRun();
  const { name, content } = await exported({}, store);
  assert.equal(name, "ember-adapter.zip");
  const files = unzipped(content);
  assert.deepEqual([...files.keys()], ["adapter_config.json", "adapter_model.safetensors", "README.md"]);
  const read = await readAdapter(new MemoryFolder("zip", Object.fromEntries(files)));
  const saved = await readAdapter(store.root.folder("runs/ember/adapter"));
  assert.deepEqual(read.tensors, saved.tensors);
  const checkpoint = await exported({ checkpoint: 2 }, store);
  assert.equal(checkpoint.name, "ember-step-2-adapter.zip");
  assert.deepEqual([...unzipped(checkpoint.content).keys()], [
    "adapter_config.json",
    "adapter_model.safetensors",
  ]);
});

Deno.test("exportRun() streams the merged model into a zip, and tells how far it is", async () => {
  const store = await storeWithRun();
  const { content, told } = await exported({ what: "merged" }, store);
  const files = unzipped(content), folder = new MemoryFolder("merged", Object.fromEntries(files));
  const manager = new ModelManager((uri) => uri === "merged" ? folder : store.files.at(uri));
  const [merged, base] = [await manager.open("merged"), await manager.open("device/models/tiny")];
  const values = mergedValues(
    base.weights,
    loraUpdates(await readAdapter(store.files.at("runs/ember/adapter"))),
  );
  for (const name of base.weights.infos.keys()) {
    assert.deepEqual(await merged.weights.readF32(name), await values.readF32(name), name);
  }
  assert.equal(told.at(-1)!.bytes, told.at(-1)!.totalBytes);
});

Deno.test("exportRun() that is cancelled rejects with the reason, and a run that is not there is told", async () => {
  const store = await storeWithRun(), stopper = new AbortController();
  const onProgress = () => stopper.abort(new Error("no longer wanted"));
  await assert.rejects(
    exportRun({ ...ORDER, what: "merged" }, { ...store, signal: stopper.signal, onProgress }),
    /no longer wanted/,
  );
  const { signal } = new AbortController();
  await assert.rejects(
    exportRun({ ...ORDER, run: "none" }, { ...store, signal, onProgress: () => {} }),
    { name: "StorageNotFoundError" },
  );
});
