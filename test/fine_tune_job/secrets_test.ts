/**
 * Secrets of the environment that found their way into options, or into what a job reads: in no file of a run, nor in what
 * is made from one.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { explain } from "../../src/cli/explain.ts";
import type { Machine } from "../../src/cli/doctor_machine.ts";
import { type Folder, readText } from "../../src/storage.ts";
import { parseStorageUri } from "../../src/storage_uri.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { fakeIo } from "../cli/fake_io.ts";
import { device, onGpu } from "../helpers/device.ts";
import { folderAt, jobDisk, jobOn, ROWS } from "../helpers/job_disk.ts";
import { ofType } from "../helpers/job_runs.ts";
import { leaks, PLANTED } from "../helpers/planted_secrets.ts";

const SECRET = PLANTED.AWS_ACCESS_KEY_ID;

/** Every file below a folder as text, by its path. */
async function textsBelow(folder: Folder, below = ""): Promise<[string, string][]> {
  const found: [string, string][] = [];
  for (const name of await folder.list()) {
    const file = await folder.open(name);
    found.push([below + name, new TextDecoder("latin1").decode(await file.read(0, file.size))]);
  }
  for (const name of await folder.folders()) {
    found.push(...await textsBelow(folder.folder(name), `${below}${name}/`));
  }
  return found;
}

onGpu(
  "no secret is in a checkpoint, a copy of one, a record, a report or the page of explain, and a run goes on",
  async () => {
    const before = process.env.AWS_ACCESS_KEY_ID;
    process.env.AWS_ACCESS_KEY_ID = SECRET;
    try {
      const disk = await jobDisk(), bucket = new MemoryStorageManager("my-bucket");
      await bucket.write(`${SECRET}/train.jsonl`, new TextEncoder().encode(ROWS));
      const wire = {
        max_steps: 3,
        save_steps: 1,
        train_test_split: 0,

        output_uri: "gs://my-bucket/out",
      };
      const paths = { training_data_path: `${SECRET}/train.jsonl`, gcs_bucket: "my-bucket" };
      const storage = (uri: string) => Promise.resolve({ storage: bucket, name: parseStorageUri(uri).name });
      const stop = new AbortController(), output = disk.folder("runs/ember");
      await assert.rejects(async () => {
        for await (
          const event of jobOn(disk, { ...wire, ...paths }, { storage, signal: stop.signal }).run()
        ) {
          if (event.type === "checkpointed" && event.step === 2) stop.abort(new Error("enough"));
        }
      }, /enough/);
      const texts = await textsBelow(output);
      const resume = texts.find(([path]) => path === "checkpoint-2/resume.json")!;
      assert.match(resume[1], /"training_data_path": "\*\*\*\/train\.jsonl"/);
      for await (const { name } of bucket.list("out/")) {
        texts.push([name, new TextDecoder("latin1").decode(await bucket.read(name))]);
      }
      assert.ok(texts.some(([path]) => path === "out/checkpoints/checkpoint-2/resume.json"));

      const again = { ...wire, ...paths, resume: "auto" };
      const events = await Array.fromAsync(jobOn(disk, again, { storage }).run());
      assert.deepEqual(ofType(events, "resumed").map(({ step }) => step), [2]);
      const { io, stdout, stderr } = fakeIo(), { gpu, pipelines } = device!;
      const roofline = () => Promise.resolve({ gigaflops: 20, matmulSize: 512, gigabytes: 10 });
      const machine = () => ({ runtime: "Deno 2", platform: "linux", nvidiaVersion: null }) as Machine;
      await explain(["runs/ember"], io, {
        files: (uri) => folderAt(disk, uri),
        gpu,
        pipelines,
        roofline,
        machine,
      });
      assert.match(await readText(output, "explain.html"), /\*\*\*/);
      texts.push(...await textsBelow(output), ["output", stdout.text + stderr.text]);
      assert.deepEqual(texts.flatMap(([path, text]) => leaks(text).map((leak) => `${path}: ${leak}`)), []);
    } finally {
      if (before === undefined) delete process.env.AWS_ACCESS_KEY_ID;
      else process.env.AWS_ACCESS_KEY_ID = before;
    }
  },
);
