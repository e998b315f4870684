import assert from "node:assert/strict";
import flan from "../../examples/plugins/flan.ts";
import httpStorage from "../../examples/plugins/http_storage.ts";
import jsonLinesTracker from "../../examples/plugins/json_lines_tracker.ts";
import { PeftTrainer } from "../../examples/plugins/peft_trainer.ts";
import seedOss from "../../examples/plugins/seed_oss.ts";
import { readAdapter } from "../../src/checkpoint/adapter.ts";
import { openTracker, TRACKER_BACKENDS } from "../../src/cli/open_tracker.ts";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { DatasetReader } from "../../src/data/dataset_reader.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { definePlugin, withPlugins } from "../../src/plugin.ts";
import { readText, writeFile } from "../../src/storage.ts";
import { LocalFolder } from "../../src/storage/local.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { openStorage, STORAGE_BACKENDS } from "../../src/storage/open.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn } from "../helpers/job_disk.ts";
import { evalLosses, ofType, readJson, summaryOf } from "../helpers/job_runs.ts";
import { writeTinyModel } from "../helpers/tiny_model.ts";
import { recordsContract } from "../job_tracker/records_contract.ts";

Deno.test("the plugin flan reads rows of inputs and targets, and lines of two columns", async () => {
  const { dataFormats: formats } = withPlugins([flan]);
  const read = async (format: string, text: string) => {
    const reader = new DatasetReader({ format, formats });
    const folder = new MemoryFolder("d", { "rows": text });
    const examples = await Array.fromAsync(reader.read(await folder.open("rows")), ({ example }) => example);
    return { examples, problems: reader.problems.listed(), formats: [...reader.formats] };
  };
  const pair = { kind: "pair", prompt: "2 + 2?\n", completion: "4" };
  const rows = await read("auto", '{"inputs": "2 + 2?", "targets": "4"}\n');
  assert.deepEqual([rows.examples, rows.formats], [[pair], ["flan"]]);
  const columns = await read("flan_tsv", "2 + 2?\t4\r\n\none\na\\nb\tc");
  assert.deepEqual(columns.examples, [pair, { kind: "pair", prompt: "a\nb\n", completion: "c" }]);
  assert.deepEqual(columns.problems, [
    { file: "d/rows", line: 3, message: "has 1 columns: write inputs, a tab, targets" },
  ]);
});

onGpu("the plugin seed-oss trains as the family does that has the same biases", async () => {
  const root = await jobDisk({ config: { model_type: "qwen2" } });
  const twin = await Array.fromAsync(jobOn(root, { max_steps: 1 }).run());
  const base = root.folder("base"), config = await readJson(base, "config.json");
  await writeFile(base, "config.json", JSON.stringify({ ...config, model_type: "seed_oss" }));
  const wire = { max_steps: 1, overwrite: true };
  await assert.rejects(Array.fromAsync(jobOn(root, wire).run()), { name: "UnsupportedModelError" });
  const events = await Array.fromAsync(jobOn(root, wire, { plugins: [seedOss] }).run());
  assert.deepEqual(evalLosses(events), evalLosses(twin));
  assert.equal((await readJson(root.folder("runs/ember"), "run.json")).base_model.model_type, "seed_oss");
});

Deno.test("the plugin http-storage reads files of a web server in ranges, and tells causes apart", async () => {
  const content = new TextEncoder().encode("a row\n".repeat(1000));
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { pathname } = new URL(request.url), headers = { etag: '"1"', "accept-ranges": "bytes" };
    if (pathname === "/secret") return new Response(null, { status: 403 });
    if (pathname !== "/data/a%20b.jsonl") return new Response(null, { status: 404 });
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.get("range") ?? "") ?? [];
    const part = from === undefined ? content : content.subarray(Number(from), Number(to) + 1);
    return new Response(request.method === "HEAD" ? null : part, {
      status: from === undefined ? 200 : 206,
      headers: { ...headers, "content-length": String(part.length) },
    });
  });
  try {
    const { storage: backends } = withPlugins([httpStorage], { storage: STORAGE_BACKENDS });
    const at = `http://127.0.0.1:${server.addr.port}`;
    const { storage, name } = await openStorage(`${at}/data/a%20b.jsonl`, backends);
    assert.equal(name, "data/a b.jsonl");
    assert.equal((await storage.stat(name)).size, content.length);
    assert.deepEqual(await storage.read(name, { offset: 6, length: 5 }), content.slice(0, 5));
    const to = new MemoryFolder("disk");
    await storage.downloadFile(name, to);
    assert.equal(await readText(to, "a b.jsonl"), new TextDecoder().decode(content));
    assert.deepEqual([await storage.exists(name), await storage.exists("none")], [true, false]);
    await assert.rejects(storage.stat("secret"), { name: "StorageDeniedError" });
    await assert.rejects(storage.write("x", content), { name: "StorageDeniedError", message: /only read/ });
    await assert.rejects(openStorage("ftp://host/x", backends), {
      message: /hf:\/\/, file:\/\/, http:\/\/, https/,
    });
  } finally {
    await server.shutdown();
  }
});

onGpu("a job trains on a file of a web server through the plugin http-storage", async () => {
  const texts = ["a", "b", "c", "d"].map((letter) => JSON.stringify({ text: `row ${letter}` }));
  const rows = new TextEncoder().encode(texts.join("\n")), asked: string[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, ({ method, url }) => {
    asked.push(`${method} ${new URL(url).pathname}`);
    const headers = { etag: '"1"', "content-length": String(rows.length) };
    return new Response(method === "HEAD" ? null : rows, { headers });
  });
  try {
    const root = await jobDisk(), uri = `http://127.0.0.1:${server.addr.port}/rows.jsonl`;
    const wire = { training_data_path: uri, train_test_split: 0.25, max_steps: 1 };
    const events = await Array.fromAsync(jobOn(root, wire, { plugins: [httpStorage] }).run());
    assert.equal(summaryOf(events).trainExamples, 3);
    assert.equal(events.at(-1)!.type, "finished");
    assert.deepEqual([...new Set(asked)], ["HEAD /rows.jsonl", "GET /rows.jsonl"]);
  } finally {
    await server.shutdown();
  }
});

recordsContract("the plugin json-lines-tracker", async (check) => {
  const folder = await Deno.makeTempDir();
  const { job } = parseFineTuneJobConfig({ ...JOB, tracker_path: `${folder}/deep/jobs.jsonl` });
  const [backend] = jsonLinesTracker.trackers!;
  const stores = [await backend!.open(job), await backend!.open(job)];
  try {
    await check(() => stores.shift()!);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openTracker() opens the tracker of a plugin", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const wire = { ...JOB, job_id: "j", tracker: "json_lines", tracker_path: `${folder}/jobs.jsonl` };
    const { job } = parseFineTuneJobConfig(wire, [jsonLinesTracker]);
    const tracker = await openTracker(job, () => {}, [...TRACKER_BACKENDS, ...jsonLinesTracker.trackers!]);
    tracker.markRunning({ steps: 2 });
    await tracker.close();
    assert.match(await Deno.readTextFile(job.trackerPath), /"jobId":"j",.*"status":"running"/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const JOB = { base_model: "b", output_model_name: "o", training_data_path: "t.jsonl" };
const FAKE = new URL("./fake_trainer.ts", import.meta.url).pathname;
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;

/** Runs a job of two steps on a disk by a process that only speaks as the trainer's does. */
async function peft(
  mode: string,
  { wire = {}, onEvent = () => {}, signal, dryRun = false }: {
    wire?: Readonly<Record<string, unknown>>;
    onEvent?: (event: TrainingEvent) => void;
    signal?: AbortSignal;
    dryRun?: boolean;
  },
  look: (out: LocalFolder, events: readonly TrainingEvent[], error: Error | null) => void | Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    const root = new LocalFolder(path), rows = [0, 1, 2, 3].map((i) => JSON.stringify({ text: `row ${i}` }));
    await writeTinyModel(root.folder("base"));
    await writeFile(root, "train.jsonl", `${rows.join("\n")}\n`);
    const command = mode === "absent"
      ? [`${path}/python`] as const
      : [Deno.execPath(), "run", "--quiet", "--no-check", "--config", CONFIG, "-A", FAKE, mode] as const;
    const plugins = [definePlugin({
      apiVersion: 1,
      name: "peft-trainer",
      trainers: [new PeftTrainer(() => command)],
    })];
    const config = parseFineTuneJobConfig({
      base_model: `${path}/base`,
      output_model_name: "ember",
      output_dir: `${path}/out`,
      training_data_path: `${path}/train.jsonl`,
      trainer: "peft",
      train_test_split: 0.25,
      batch_size: 2,
      max_steps: 2,
      lora_r: 4,
      ...wire,
    }, plugins);
    const files = (uri: string) => new LocalFolder(uri), events: TrainingEvent[] = [];
    let error: Error | null = null;
    try {
      const job = createFineTuneJob(config, { files, plugins, dryRun, ...(signal ? { signal } : {}) });
      for await (const event of job.run()) {
        events.push(event);
        onEvent(event);
      }
    } catch (thrown) {
      error = thrown as Error;
    }
    await look(root.folder("out"), events, error);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("the trainer peft tells the events of its process, and what it made is saved as any adapter", async () => {
  await peft("whole", {}, async (out, events, error) => {
    assert.equal(error, null);
    assert.deepEqual(
      events.map((event) => event.type).filter((type) => type !== "phase" && type !== "warning"),
      ["started", "evaluated", "step", "step", "evaluated", "saved", "saved", "finished"],
    );
    const summary = summaryOf(events);
    assert.deepEqual([summary.adapter, summary.trainableParameters], ["fake", 7]);
    assert.deepEqual(ofType(events, "step").map(({ step, loss, totalSteps }) => [step, loss, totalSteps]), [
      [1, 1, 2],
      [2, 0.5, 2],
    ]);
    const { tensors } = await readAdapter(out.folder("adapter"));
    assert.equal(tensors.size, 2 * 2 * 7);
    const run = await readJson(out, "run.json");
    assert.deepEqual([run.status, run.steps, run.config.trainer, run.adapter.name], [
      "completed",
      2,
      "peft",
      "fake",
    ]);
    assert.equal((await readText(out, "metrics.jsonl")).trimEnd().split("\n").length, 3);
    assert.ok(await out.folder("merged").exists("model.safetensors"));
  });
});

Deno.test("the trainer peft says what is missing, what its process said last, and which options it cannot honour", async () => {
  await peft("missing", {}, (_, __, error) => {
    assert.equal(error!.name, "ConfigError");
    assert.match(error!.message, /has no module "peft": .* -m pip install torch transformers peft/);
  });
  await peft("absent", {}, (_, __, error) => {
    assert.equal(error!.name, "ConfigError");
    assert.match(error!.message, /^LOWRANK_PYTHON: ".*\/python" is not there/);
  });
  await peft("dying", {}, async (out, _, error) => {
    assert.match(error!.message, /ended with code 1 before it was done:\nCUDA error: out of memory/);
    assert.equal((await readJson(out, "run.json")).status, "failed");
    assert.equal(await out.folder("adapter").exists("adapter_config.json"), false);
  });
  await peft("diverging", {}, (_, __, error) => assert.equal(error!.name, "DivergedError"));
  await peft("whole", { wire: { packing: true, load_in_4bit: true } }, (_, __, error) => {
    assert.match(error!.message, /^load_in_4bit: is not supported by the trainer peft: .*\npacking: /);
  });
});

Deno.test("the trainer peft plans in a dry run, and ends its process when it is told to stop", async () => {
  await peft("whole", { dryRun: true }, async (out, events, error) => {
    assert.equal(error, null);
    assert.equal(events.at(-1)!.type, "started");
    assert.deepEqual(await out.list(), []);
  });
  const controller = new AbortController(), reason = new Error("enough");
  const onEvent = ({ type }: TrainingEvent) => type === "step" && controller.abort(reason);
  await peft("hanging", { onEvent, signal: controller.signal }, async (out, _, error) => {
    assert.equal(error, reason);
    assert.equal((await readJson(out, "run.json")).status, "cancelled");
  });
});
