/**
 * The whole service: the command as a process of its own, with everything it needs in a bucket, its course in a database,
 * and its results back in the bucket.
 */
import assert from "node:assert/strict";
import { ContainerClient } from "@azure/storage-blob";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { SafetensorsFile } from "../../src/checkpoint/safetensors.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import type { StorageManager } from "../../src/storage_manager.ts";
import { AzureStorageManager } from "../../src/storage/azure.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { LocalStorageManager } from "../../src/storage/local_store.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { S3StorageManager } from "../../src/storage/s3.ts";
import { azureConnection, makeGcsBucket, startAzurite, startGcs } from "../helpers/bucket_services.ts";
import { CommandProcess } from "../helpers/command_process.ts";
import { device } from "../helpers/device.ts";
import { startEmulator, withoutEmulator } from "../helpers/emulators.ts";
import { startFirestore } from "../helpers/firestore.ts";
import { PEFT_PYTHON } from "../helpers/peft_python.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const TINY = new LocalFolder(`${ROOT}examples/tiny`);
/** Two short steps; the adapter alone, unless the test is about the merged model. */
const SHORT = ["--max-steps", "2", "--batch-size", "2", "--train-test-split", "0.01", "--logging-steps", "1"]
  .concat("--num-generation-samples", "0", "--no-exact-match", "--variant", "software");

/** Runs the command in an empty folder; `look` sees the folder before it is removed. */
async function lowrank(
  args: readonly string[],
  env: Record<string, string>,
  look: (folder: string, text: string) => void | Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-service-" });
  try {
    const command = CommandProcess.start(args, folder, env), code = await command.code();
    assert.equal(code, 0, command.text);
    await look(folder, command.text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function putTiny(storage: StorageManager): Promise<void> {
  await storage.uploadFolder(TINY.folder("model"), "models/tiny");
  await storage.uploadFile(TINY, "signals.jsonl", "data/train.jsonl");
}

/** Loads what a run has put into a bucket with the readers of the library. */
async function checkResults(storage: StorageManager, prefix: string, hasMerged: boolean): Promise<void> {
  const results = new MemoryFolder("results");
  await storage.downloadFolder(prefix, results);
  const { config, tensors } = await readAdapter(results.folder("adapter"));
  assert.equal(config.rank, 16);
  assert.ok(
    [...tensors].some(([name, { data }]) => name.includes("lora_B") && data.some((value) => value !== 0)),
  );
  if (hasMerged) {
    const merged = await SafetensorsFile.open(results.folder("merged"), "model.safetensors");
    const base = await SafetensorsFile.open(TINY.folder("model"), "model.safetensors");
    assert.deepEqual([...merged.infos.keys()].sort(), [...base.infos.keys()].sort());
    const name = [...base.infos.keys()].find((key) => key.includes("q_proj"))!;
    assert.notDeepEqual(await merged.readF32(name), await base.readF32(name));
    await base.close();
  } else assert.deepEqual(await results.folder("merged").list(), []);
  const files = ["metrics.jsonl", "report.html", "run.json", "trainer_state.json", "training_config.json"];
  assert.deepEqual(await results.list(), files);
  const json = async (name: string) => {
    const file = await results.open(name);
    return JSON.parse(new TextDecoder().decode(await file.read(0, file.size)));
  };
  assert.equal((await json("run.json")).status, "completed");
  const training = await json("training_config.json");
  assert.deepEqual([training.max_steps, training.lora_r], [2, 16]);
}

/** What PEFT itself needs, to see whether it takes an adapter as it is. */
const PEFT_LOADS = `
import os, sys, warnings
os.environ["HF_HUB_OFFLINE"] = "1"
from peft import PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
base, adapter = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
wanted, held = get_peft_model_state_dict(model), load_file(adapter + "/adapter_model.safetensors")
assert set(wanted) == set(held), set(wanted) ^ set(held)
assert all((wanted[name].cpu() == held[name]).all() for name in held)
print("tensors", len(held))
`;

/** Downloads an adapter and loads it over its base with PEFT. */
async function checkWithPeft(storage: StorageManager, name: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-peft-" });
  try {
    await storage.downloadFolder(name, new LocalFolder(folder));
    const { success, stdout, stderr } = await new Deno.Command(PEFT_PYTHON!, {
      args: ["-c", PEFT_LOADS, `${ROOT}examples/tiny/model`, folder],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /^tensors [1-9]\d*$/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function test(name: string, missing: string | null, fn: (t: Deno.TestContext) => Promise<void>): void {
  const why = device ? missing : "no adapter";
  Deno.test({ name: why ? `${name} (skipped: ${why})` : name, ignore: why !== null, fn });
}

test(
  "the service's command line, from bucket to bucket, recorded in Firestore",
  withoutEmulator("fake-gcs-server"),
  async (t) => {
    const server = await startGcs();
    const firestore = await startFirestore();
    try {
      const endpoint = `http://127.0.0.1:${server.port}`;
      await makeGcsBucket(endpoint, "my-bucket");
      const storage = new GcsStorageManager("my-bucket", { endpoint });
      await putTiny(storage);
      const watch = await firestore.watch("jobs", "job-1");
      const args = ["train", "--base-model", "tiny", "--output-model-name", "my-model"]
        .concat("--training-data-path", "data/train.jsonl", "--gcs-bucket", "my-bucket")
        .concat("--job-id", "job-1", "--firestore-project", "test", ...SHORT);
      const env = { STORAGE_EMULATOR_HOST: endpoint, FIRESTORE_EMULATOR_HOST: firestore.host };
      await lowrank(args, env, (folder, text) => {
        assert.match(text, /downloaded the data: 1 file/);
        assert.match(text, /uploaded the results: \d+ files/);
        assert.match(text, /results +gs:\/\/my-bucket\/models\/my-model\n/);
        const left = [...Deno.readDirSync(`${folder}/runs/my-model`)].map(({ name }) => name).sort();
        assert.deepEqual(left.filter((name) => /^(\.|downloads|upload)/.test(name)), []);
      });
      await checkResults(storage, "models/my-model", true);
      const seen = await watch.until("completed");
      assert.deepEqual([...new Set(seen.map(({ status }) => status))], ["pending", "running", "completed"]);
      const progress = seen.map((record) => record.progress);
      assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
      assert.ok(new Set(progress).size >= 4, `progress ${progress}`);
      const { created_at, started_at, completed_at, error } = seen.at(-1)!;
      assert.equal(error, null);
      assert.ok(
        created_at.toMillis() <= started_at!.toMillis() && started_at!.toMillis() < completed_at!.toMillis(),
      );
      const why = PEFT_PYTHON ? "" : " (skipped: LOWRANK_TEST_PEFT_PYTHON names no Python that has PEFT)";
      await t.step({
        name: `PEFT loads the adapter of the bucket${why}`,
        ignore: PEFT_PYTHON === null,
        fn: () => checkWithPeft(storage, "models/my-model/adapter"),
      });
    } finally {
      await firestore.stop();
      await server.stop();
    }
  },
);

test("the same with S3 and SQLite", withoutEmulator("versitygw"), async () => {
  const root = await Deno.makeTempDir();
  const env = { AWS_ACCESS_KEY_ID: "test-key-id", AWS_SECRET_ACCESS_KEY: "test-secret-5318008" };
  const server = await startEmulator("versitygw", (port) => ["--port", `127.0.0.1:${port}`, "posix", root], {
    ROOT_ACCESS_KEY: env.AWS_ACCESS_KEY_ID,
    ROOT_SECRET_KEY: env.AWS_SECRET_ACCESS_KEY,
  });
  try {
    await Deno.mkdir(`${root}/my-bucket`);
    const endpoint = `http://127.0.0.1:${server.port}`;
    const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY };
    const storage = new S3StorageManager("my-bucket", { endpoint, credentials });
    await putTiny(storage);
    const args = ["train", "--base-model", "s3://my-bucket/models/tiny", "--output-model-name", "my-model"]
      .concat("--training-data-path", "s3://my-bucket/data/*.jsonl", "--output-uri", "s3://my-bucket/tuned")
      .concat("--job-id", "job-1", "--save", "adapter", ...SHORT);
    await lowrank(args, { ...env, AWS_ENDPOINT_URL: endpoint }, async (folder) => {
      const records = new SqliteJobRecords(`${folder}/runs/jobs.db`);
      const record = (await records.read("job-1"))!;
      await records.close();
      assert.deepEqual([record.status, record.progress, record.error], ["completed", 1, null]);
      assert.ok(record.createdAt <= record.startedAt! && record.startedAt! < record.completedAt!);
    });
    await checkResults(storage, "tuned", false);
  } finally {
    await server.stop();
    await Deno.remove(root, { recursive: true });
  }
});

test("the same with Azure and without records", withoutEmulator("azurite"), async () => {
  const account = { name: "tests", key: btoa("a key of the tests, 5318008") };
  const server = await startAzurite(account);
  try {
    const connectionString = azureConnection(server.port, account);
    await new ContainerClient(connectionString, "my-container").create();
    const storage = new AzureStorageManager("my-container", { connectionString });
    await putTiny(storage);
    const args = ["train", "--base-model", "az://my-container/models/tiny", "--output-model-name", "my-model"]
      .concat("--training-data-path", "az://my-container/data/train.jsonl")
      .concat("--output-uri", "az://my-container/tuned", "--save", "adapter", ...SHORT);
    await lowrank(args, { AZURE_STORAGE_CONNECTION_STRING: connectionString }, (folder) => {
      assert.deepEqual([...Deno.readDirSync(`${folder}/runs`)].map(({ name }) => name), ["my-model"]);
    });
    await checkResults(storage, "tuned", false);
  } finally {
    await server.stop();
  }
});

test("the same with folders of this machine alone", null, async () => {
  const root = await Deno.makeTempDir({ prefix: "lowrank-service-" });
  try {
    const storage = new LocalStorageManager(root);
    await putTiny(storage);
    const args = ["train", "--base-model", `${root}/models/tiny`, "--output-model-name", "my-model"]
      .concat("--training-data-path", `${root}/data/train.jsonl`, "--output-uri", `file://${root}/tuned`)
      .concat("--job-id", "job-1", ...SHORT);
    await lowrank(args, {}, async (folder) => {
      const records = new SqliteJobRecords(`${folder}/runs/jobs.db`);
      const record = (await records.read("job-1"))!;
      await records.close();
      assert.deepEqual([record.status, record.progress, record.error], ["completed", 1, null]);
    });
    await checkResults(storage, "tuned", true);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
