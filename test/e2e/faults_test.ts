/**
 * What the whole command does where something fails: exit code, records, and what is left here and in the bucket.
 */
import assert from "node:assert/strict";
import { FirestoreJobRecords } from "../../src/job_tracker/firestore.ts";
import { QueuedTracker } from "../../src/job_tracker/queued.ts";
import { SqliteJobRecords } from "../../src/job_tracker/sqlite.ts";
import type { JobRecord } from "../../src/job_tracker.ts";
import { GcsStorageManager } from "../../src/storage/gcs.ts";
import { makeGcsBucket, startGcs } from "../helpers/bucket_services.ts";
import { CommandProcess } from "../helpers/command_process.ts";
import { CuttingProxy } from "../helpers/cutting_proxy.ts";
import { device } from "../helpers/device.ts";
import { withoutEmulator } from "../helpers/emulators.ts";
import { startFirestore } from "../helpers/firestore.ts";
import { jobDisk, jobOn } from "../helpers/job_disk.ts";
import { withOwnCache } from "../helpers/own_cache.ts";
import { startHub } from "../storage/hub_server.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const TINY = `${ROOT}examples/tiny`;
const SECRET = "planted-secret-5318008";
const JOB = ["train", "--output-model-name", "my-model", "--job-id", "job-1", "--max-steps", "2"]
  .concat("--batch-size", "2", "--train-test-split", "0", "--num-generation-samples", "0", "--no-exact-match")
  .concat("--variant", "software", "--save", "adapter");
const DATA = ["--training-data-path", `${TINY}/signals.jsonl`];
const MODEL = ["--base-model", `${TINY}/model`];

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "lowrank-faults-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts the command, waits for its end, and tells of it. */
async function ran(args: readonly string[], folder: string, env: Record<string, string>) {
  const child = CommandProcess.start(args, folder, env);
  const code = await child.code();
  assert.ok(!child.text.includes(SECRET), "a secret is in the output");
  return { code, text: child.text };
}

async function recordIn(folder: string): Promise<JobRecord> {
  const records = new SqliteJobRecords(`${folder}/runs/jobs.db`);
  try {
    return (await records.read("job-1"))!;
  } finally {
    await records.close();
  }
}

async function statusIn(folder: string): Promise<[string, boolean]> {
  const { status, upload } = JSON.parse(await Deno.readTextFile(`${folder}/runs/my-model/run.json`));
  return [status, upload.done];
}

/** Names of the files in a run's folder, those of its folders too. */
async function leftIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) found.push(...(await leftIn(`${folder}/${name}`)).map((below) => `${name}/${below}`));
    else found.push(name);
  }
  return found.sort();
}

function test(name: string, missing: string | null, fn: () => Promise<void>): void {
  Deno.test({ name: missing ? `${name} (skipped: ${missing})` : name, ignore: missing !== null, fn });
}

test(
  "train from a store that refuses its credentials ends with 4, on record, and leaves nothing",
  null,
  async () => {
    const answer = { error: { code: 403, message: "no", errors: [{ reason: "forbidden" }] } };
    await using server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      ({ url }) =>
        url.includes("s3-bucket")
          ? new Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", { status: 403 })
          : Response.json(answer, { status: 403 }),
    );
    const endpoint = `http://127.0.0.1:${server.addr.port}`;
    const env = {
      STORAGE_EMULATOR_HOST: endpoint,
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: "key-id",
      AWS_SECRET_ACCESS_KEY: SECRET,
    };
    for (
      const [args, place] of [
        [[...MODEL, "--training-data-path", "gs://my-bucket/train.jsonl"], "gs://my-bucket/train.jsonl"],
        [["--base-model", "s3://s3-bucket/models/tiny", ...DATA], "s3://s3-bucket/models/tiny"],
        [[...MODEL, ...DATA, "--output-uri", "s3://s3-bucket/tuned"], "s3://s3-bucket/tuned"],
      ] as const
    ) {
      await inFolder(async (folder) => {
        const { code, text } = await ran([...JOB, ...args], folder, env);
        assert.equal(code, 4, text);
        assert.match(text, new RegExp(`error: Cannot .*${place}.*403`));
        const { status, error } = await recordIn(folder);
        assert.equal(status, "failed");
        assert.match(error!, /^Cannot /);
        assert.deepEqual((await leftIn(`${folder}/runs`)).filter((name) => !name.startsWith("jobs.db")), []);
      });
    }
  },
);

test("train from the Hub with a wrong token ends with 4 and tells whose terms to accept", null, async () => {
  await using hub = startHub({});
  await inFolder(async (folder) => {
    const env = { ...withOwnCache(`${folder}/cache`), HF_ENDPOINT: hub.endpoint, HF_TOKEN: SECRET };
    const { code, text } = await ran([...JOB, "--base-model", "owner/gated", ...DATA], folder, env);
    assert.equal(code, 4, text);
    assert.match(text, /owner\/gated/);
    assert.match(text, /HF_TOKEN/);
    assert.equal((await recordIn(folder)).status, "failed");
  });
});

test(
  "an upload over a connection that went silent is stopped by SIGTERM, fails in a process whose connections are cut, and is completed by a third that trains nothing",
  device ? withoutEmulator("fake-gcs-server") : "no adapter",
  () =>
    inFolder(async (folder) => {
      await using proxy = new CuttingProxy();
      const endpoint = `http://127.0.0.1:${proxy.port}`, env = { STORAGE_EMULATOR_HOST: endpoint };
      const server = await startGcs(proxy.port);
      try {
        proxy.target = server.port;
        await makeGcsBucket(endpoint, "my-bucket");
        // more than what is asked before training, and less than the results
        const silent = proxy.holdAfter(15_000);
        const first = CommandProcess.start(
          [...JOB, ...MODEL, ...DATA, "--gcs-bucket", "my-bucket", "--no-upload-checkpoints"],
          folder,
          env,
        );
        await Promise.race([silent, first.code()]);
        await first.until(/uploading the results to gs:/);
        first.kill("SIGTERM");
        assert.equal(await first.code(), 143, first.text);
        assert.match(first.text, /the same command with --resume auto uploads what is missing/);
        const stopped = await recordIn(folder);
        assert.deepEqual([stopped.status, stopped.error], ["cancelled", null]);
        assert.ok(stopped.progress >= 0.9 && stopped.progress < 1, `${stopped.progress}`);
        assert.deepEqual(await statusIn(folder), ["cancelled", false]);
        assert.ok((await Deno.stat(`${folder}/runs/my-model/adapter/adapter_model.safetensors`)).size > 0);
        proxy.letGo();
        const storage = new GcsStorageManager("my-bucket", { endpoint });
        assert.equal(await storage.exists("models/my-model/run.json"), false);

        const held = proxy.holdAfter(15_000);
        const second = CommandProcess.start(["resume", "runs/my-model"], folder, env);
        await Promise.race([held, second.code()]);
        await second.until(/uploading the results to gs:/);
        proxy.cutAfter(...Array.from({ length: 1000 }, () => 1));
        proxy.drop();
        assert.equal(await second.code(), 4, second.text);
        assert.match(
          second.text,
          /error: Cannot .*\. The run is trained and saved in "runs\/my-model": "lowrank resume/,
        );
        proxy.cutAfter();
        const failed = await recordIn(folder);
        assert.equal(failed.status, "failed");
        assert.match(failed.error!, /^Cannot .*gs:\/\/my-bucket\/models\/my-model\//);
        assert.deepEqual(await statusIn(folder), ["failed", false]);
        assert.ok((await Deno.stat(`${folder}/runs/my-model/adapter/adapter_model.safetensors`)).size > 0);
        assert.equal(await storage.exists("models/my-model/run.json"), false);

        const { code, text } = await ran(["resume", "runs/my-model"], folder, env);
        assert.equal(code, 0, text);
        assert.doesNotMatch(text, /step 1\//);
        assert.deepEqual(await statusIn(folder), ["completed", true]);
        const { status, progress, error } = await recordIn(folder);
        assert.deepEqual([status, progress, error], ["completed", 1, null]);
        const names = (await Array.fromAsync(storage.list())).map(({ name }) => name);
        for (const name of ["adapter/adapter_model.safetensors", "run.json", "training_config.json"]) {
          assert.ok(names.includes(`models/my-model/${name}`), `${names}`);
        }
        const left = await leftIn(`${folder}/runs/my-model`);
        assert.deepEqual(left.filter((name) => /partial|upload|downloads/.test(name)), []);
      } finally {
        await server.stop();
      }
    }),
);

test(
  "a run whose machine is lost goes on from the bucket on another one, after its last copied checkpoint",
  device ? withoutEmulator("fake-gcs-server") : "no adapter",
  () =>
    inFolder(async (folder) => {
      const server = await startGcs(), endpoint = `http://127.0.0.1:${server.port}`;
      try {
        await makeGcsBucket(endpoint, "my-bucket");
        const storage = new GcsStorageManager("my-bucket", { endpoint });
        const args = [
          ...JOB,
          ...MODEL,
          ...DATA,
          "--max-steps",
          "12",
          "--save-steps",
          "2",
          "--gcs-bucket",
          "my-bucket",
        ];
        await Deno.mkdir(`${folder}/lost`);
        const lost = CommandProcess.start(args, `${folder}/lost`, { STORAGE_EMULATOR_HOST: endpoint });
        const steps = async () => {
          const names = (await Array.fromAsync(storage.list("models/my-model/checkpoints/"))).map((
            { name },
          ) => name);
          return names.flatMap((name) => /checkpoint-(\d+)\/resume\.json$/.exec(name)?.[1] ?? []).map(Number);
        };
        await lost.until(/checkpoint of step 4/);
        while ((await steps()).length === 0) await new Promise((over) => setTimeout(over, 20));
        lost.kill("SIGKILL");
        await lost.code();
        const copied = await steps();
        assert.ok(copied.length > 0 && !await storage.exists("models/my-model/run.json"), lost.text);
        await Deno.remove(`${folder}/lost`, { recursive: true });

        const { code, text } = await ran([...args, "--resume", "auto"], folder, {
          STORAGE_EMULATOR_HOST: endpoint,
        });
        assert.equal(code, 0, text);
        const from = Number(/going on after step (\d+)/.exec(text)?.[1]);
        assert.ok(from >= Math.max(...copied), `${from} of ${copied}`);
        const course = await Deno.readTextFile(`${folder}/runs/my-model/metrics.jsonl`);
        const told = course.trimEnd().split("\n").map((line) => JSON.parse(line).step).filter((step) =>
          step > 0
        );
        assert.deepEqual(told, [...new Set(told)].sort((a, b) => a - b));
        assert.equal(told.at(-1), 12);
        assert.deepEqual(await statusIn(folder), ["completed", true]);
        assert.ok(await storage.exists("models/my-model/adapter/adapter_model.safetensors"));
        assert.equal(await storage.exists("models/my-model/checkpoints/"), false);
      } finally {
        await server.stop();
      }
    }),
);

for (const when of ["from the start", "in the middle"] as const) {
  test(
    `a job whose records in Firestore are down ${when} completes, and says what did not reach them`,
    device ? null : "no adapter",
    async () => {
      const firestore = await startFirestore();
      await using proxy = new CuttingProxy();
      const isInMiddle = when === "in the middle", warnings: string[] = [];
      if (isInMiddle) proxy.target = Number(firestore.host.split(":")[1]);
      try {
        const watch = await firestore.watch("jobs", "job-1");
        const records = new FirestoreJobRecords({
          projectId: "test",
          emulatorHost: `127.0.0.1:${proxy.port}`,
        });
        const warn = (message: string) => void warnings.push(message);
        const tracker = new QueuedTracker(records, "job-1", { closeMs: 500, warn });
        let isCompleted = false;
        const wire = { max_steps: 3, logging_steps: 1 };
        for await (const event of jobOn(await jobDisk(), wire, { tracker }).run()) {
          if (event.type === "started" && isInMiddle) {
            await watch.until("running");
            proxy.cutAfter(...Array.from({ length: 1000 }, () => 1));
          }
          isCompleted ||= event.type === "finished" && event.status === "completed";
        }
        assert.ok(isCompleted);
        const { written, dropped } = await tracker.close();
        assert.ok(dropped > 0 && written > 0 === isInMiddle, `${written} written, ${dropped} dropped`);
        assert.match(warnings.at(-1)!, /updates did not reach firestore:test\/jobs; the job is not affected/);
      } finally {
        await firestore.stop();
      }
    },
  );
}
