/**
 * As single components: storage, records, data and model, each without the others.
 *
 *     deno run -A examples/components.ts
 *
 * `new GcsStorageManager("my-bucket")` of `lowrank/storage/gcs` takes the place of the bucket in memory, and
 * `new FirestoreJobRecords({ projectId: "my-project" })` of `lowrank/job_tracker/firestore` that of the SQLite file.
 *
 * @module
 */
import { DataManager, MemoryStorageManager, ModelManager, QueuedTracker, Tokenizer } from "lowrank";
import { SqliteJobRecords } from "lowrank/job_tracker/sqlite";
import { LocalFolder } from "lowrank/storage/local";

const tiny = new LocalFolder("examples/tiny");

// storage: a model goes up, and its files are listed
const storage = new MemoryStorageManager("my-bucket");
await storage.uploadFolder(tiny.folder("model"), "models/tiny");
for await (const { name, size } of storage.list("models/tiny/")) console.log(name, size);

// records: how a job stands
const records = new SqliteJobRecords("runs/components.db");
const tracker = new QueuedTracker(records, "job-1");
tracker.markRunning({ base_model: "tiny" });
tracker.setProgress(0.5);
tracker.markCompleted();
const { written, dropped } = await tracker.close();
console.log(`records: ${written} updates written, ${dropped} dropped`);

// data: rows as the model will see them
const tokenizer = await Tokenizer.load(tiny.folder("model"));
const data = new DataManager({ files: (path) => ({ folder: tiny, name: path }), tokenizer });
const { train, eval: held } = await data.load({
  trainingDataPath: "signals.jsonl",
  evalDataPath: null,
  trainTestSplit: 0.1,
  dataFormat: "auto",
  maxLength: 64,
  seed: 1,
});
console.log(`data: ${train.length} rows to train on, ${held.length} held out`);

// model: its shape, without a GPU
const base = await new ModelManager((uri) => new LocalFolder(uri)).open("examples/tiny/model");
console.log(`model: ${base.config.numHiddenLayers} layers of width ${base.config.hiddenSize}`);
await base.weights.close();
