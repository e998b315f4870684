import assert from "node:assert/strict";
import { writeAdapter } from "../../src/checkpoint/adapter.ts";
import { loraKey } from "../../src/checkpoint/adapter.ts";
import { readConfigFile } from "../../src/cli/config_file.ts";
import { configTemplate } from "../../src/cli/config_template.ts";
import { inspect } from "../../src/cli/inspect.ts";
import { merge } from "../../src/cli/merge.ts";
import { resume } from "../../src/cli/resume.ts";
import { runCommand } from "../../src/cli/run.ts";
import { runs } from "../../src/cli/runs.ts";
import { CONFIG_FIELDS, parseFineTuneJobConfig, toWire } from "../../src/config.ts";
import { ConfigError, ModelFormatError, StorageNotFoundError } from "../../src/errors.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import { MemoryStorageManager } from "../../src/storage/memory_store.ts";
import { parseStorageUri } from "../../src/storage_uri.ts";
import { writeFile } from "../../src/storage.ts";
import { fakeIo, FINISHED_EVENT, RecordingSink } from "./fake_io.ts";
import { tinyGguf } from "../helpers/tiny_gguf.ts";
import { TINY_PARAMETERS, writeTinyModel } from "../helpers/tiny_model.ts";

const Q_PROJ = "model.layers.1.self_attn.q_proj";

/** A disk with a model at `base` and an adapter of rank 1 at `adapter`: B·A of ones on one map, alpha 2. */
async function disk() {
  const root = new MemoryFolder("");
  await writeTinyModel(root.folder("base"));
  const ones = (...shape: number[]) => ({ shape, data: new Float32Array(shape[0]! * shape[1]!).fill(1) });
  await writeAdapter(root.folder("adapter"), {
    config: { baseModel: "base", rank: 1, alpha: 2, dropout: 0, targetModules: ["q_proj"] },
    tensors: new Map([[loraKey(Q_PROJ, "A"), ones(1, 32)], [loraKey(Q_PROJ, "B"), ones(48, 1)]]),
  });
  const files = (uri: string) =>
    uri.split("/").filter((part) => part !== "" && part !== ".").reduce(
      (folder: MemoryFolder, part) => folder.folder(part),
      root,
    );
  return { root, files };
}

Deno.test("merge writes W + s·B·A and leaves all else", async () => {
  const { files } = await disk(), { io, stdout } = fakeIo();
  await merge(["--base-model", "base", "--adapter", "adapter", "--output-dir", "out/merged"], io, files);
  assert.equal(stdout.text, "merged model: out/merged\n");
  const [base, merged] = await Promise.all(
    ["base", "out/merged"].map((uri) => new ModelManager(files).open(uri)),
  );
  for (const name of base!.weights.infos.keys()) {
    const added = name === `${Q_PROJ}.weight` ? 2 : 0;
    const want = (await base!.weights.readF32(name)).map((value) => value + added);
    assert.deepEqual(await merged!.weights.readF32(name), want, name);
  }
});

Deno.test("merge refuses missing flags, a folder that holds a model, and an adapter of another model", async () => {
  const { root, files } = await disk(), io = fakeIo().io;
  await assert.rejects(
    merge(["--adapter", "adapter"], io, files),
    (error: ConfigError) => error.issues.map(({ path }) => path).join() === "--base-model,--output-dir",
  );
  for (const out of ["base", "./base/"]) {
    await assert.rejects(
      merge(["--model", "base", "--adapter", "adapter", "-o", out], io, files),
      /holds a model already: name a new folder/,
    );
  }
  await writeTinyModel(root.folder("other"), { config: { hidden_size: 36 } });
  await assert.rejects(
    merge(["--model", "other", "--adapter", "adapter", "-o", "out"], io, files),
    ModelFormatError,
  );
  assert.deepEqual(await root.folder("out").list(), []);
});

Deno.test("inspect tells what a model and an adapter hold", async () => {
  const { root, files } = await disk(), stdout = new RecordingSink();
  const gguf = new RecordingSink();
  await writeFile(root, "tiny.gguf", (await tinyGguf()).bytes);
  await inspect(["tiny.gguf"], { stdout: gguf, stderr: gguf, env: {} }, files);
  assert.match(gguf.text, /^files +tiny\.gguf$/m);
  await inspect(["base"], { stdout, stderr: stdout, env: {} }, files);
  assert.match(stdout.text, /^model\nmodel type {4}llama\nlayers {8}2\n/);
  assert.match(stdout.text, /\nparameters {4}26,176\ntensors {7}20 F32; 102\.3 KiB\n$/);
  const json = new RecordingSink();
  await inspect(["base", "--json"], { stdout: json, stderr: json, env: {} }, files);
  assert.equal(JSON.parse(json.text).parameters, TINY_PARAMETERS.tied);
  const adapter = new RecordingSink();
  await inspect(["adapter/", "--tensors"], { stdout: adapter, stderr: adapter, env: {} }, files);
  assert.match(adapter.text, /^adapter\nbase model {2}base\nrank {8}1\nalpha {7}2\ntargets {5}q_proj\n/);
  assert.match(adapter.text, /q_proj\.lora_A\.weight {2}F32 {3}\[1, 32\]\n/);
  await assert.rejects(
    inspect(["nowhere"], { stdout, stderr: stdout, env: {} }, files),
    StorageNotFoundError,
  );
  await assert.rejects(inspect(["a", "b"], { stdout, stderr: stdout, env: {} }, files), ConfigError);
});

const OPTIONS = {
  base_model: "base",
  output_model_name: "ember",
  training_data_path: "rows.jsonl",
  lora_r: 4,
};

function runJson(more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    version: 1,
    status: "completed",
    config: toWire(parseFineTuneJobConfig(OPTIONS)),
    versions: { lowrank: "0.1.0" },
    started_at: "2026-01-02T03:04:05.000Z",
    finished_at: "2026-01-02T03:05:35.000Z",
    adapter: { name: "gpu", software: false },
    base_model: { path: "base", model_type: "llama" },
    micro_batch: { rows: 1, length: 8, recomputed_blocks: 0 },
    steps: 12,
    total_steps: 20,
    eval_loss_before: 2.5,
    eval_loss_after: 1.25,
    ...more,
  });
}

Deno.test("runs lists the runs of a folder, the latest first, and warns of damaged ones", async () => {
  const { root, files } = await disk(), stdout = new RecordingSink(), stderr = new RecordingSink();
  await writeFile(root.folder("runs").folder("ember"), "run.json", runJson());
  const later = { started_at: "2026-02-02T03:04:05.000Z", finished_at: null, status: "running" };
  await writeFile(root.folder("runs").folder("ash"), "run.json", runJson(later));
  await writeFile(root.folder("runs").folder("torn"), "run.json", "{");
  await writeFile(root.folder("runs").folder("notes"), "text.txt", "none");
  await runs([], { stdout, stderr }, files);
  const [head, first, second, ...rest] = stdout.text.split("\n");
  assert.match(head!, /^run +status +started +took +steps +eval loss +base model$/);
  assert.match(first!, /^ash +running +2026-02-02 03:04 +- +12\/20 +2\.500 -> 1\.250 +base$/);
  assert.match(second!, /^ember +completed +2026-01-02 03:04 +01:30 +12\/20 /);
  assert.deepEqual(rest, [""]);
  assert.match(stderr.text, /^warning: .*torn\/run\.json/);
  const empty = new RecordingSink();
  await runs(["elsewhere"], { stdout: empty, stderr }, files);
  assert.equal(empty.text, 'no run in "elsewhere"\n');
});

Deno.test("resume starts the job that run.json tells of, in its folder, from its last checkpoint", async () => {
  const { root, files } = await disk();
  await writeFile(root.folder("moved"), "run.json", runJson());
  const fake = fakeIo({ events: () => [FINISHED_EVENT], env: { LOWRANK_LORA_R: "64" } });
  await resume(["moved/", "--num-train-epochs", "7"], fake.io, { files });
  const { job, lora, training } = fake.jobs[0]!.config;
  assert.deepEqual(
    [job.outputDir, job.resume, job.overwrite, lora.r, training.numTrainEpochs],
    ["moved", "auto", false, 4, 7],
  );
  await assert.rejects(resume(["base"], fake.io, { files }), StorageNotFoundError);
  await assert.rejects(resume(["moved", "--config", "x.yaml"], fake.io, { files }), /recorded/);
  await assert.rejects(resume([], fake.io, { files }), /RUN: is missing/);
});

Deno.test("resume starts the job whose checkpoints were copied to a bucket, with its results going there", async () => {
  const bucket = new MemoryStorageManager("moved"), bytes = (text: string) => new TextEncoder().encode(text);
  const open = (uri: string) => Promise.resolve({ storage: bucket, name: parseStorageUri(uri).name });
  const recorded = { ...OPTIONS, output_uri: "gs://before/models/ember", output_dir: "runs/here" };
  const config = toWire(parseFineTuneJobConfig(recorded));
  await bucket.write("models/ember/checkpoints/run.json", bytes(runJson({ status: "running", config })));
  await bucket.write("models/done/run.json", bytes(runJson()));
  const fake = fakeIo({ events: () => [FINISHED_EVENT] });
  await resume(["gs://moved/models/ember/", "--num-train-epochs", "7"], fake.io, { open });
  const { job, lora, training } = fake.jobs[0]!.config;
  assert.deepEqual(
    [job.outputDir, job.uploadUri, job.resume, job.overwrite, lora.r, training.numTrainEpochs],
    ["runs/here", "gs://moved/models/ember", "auto", false, 4, 7],
  );
  await assert.rejects(resume(["gs://moved/models/done"], fake.io, { open }), {
    name: "ConfigError",
    message:
      /gs:\/\/moved\/models\/done.* is complete, .* --adapter-path gs:\/\/moved\/models\/done\/adapter$/,
  });
  await assert.rejects(resume(["gs://moved"], fake.io, { open }), {
    name: "StorageNotFoundError",
    message: /^Cannot find a run at "gs:\/\/moved": it has neither checkpoints\/run\.json/,
  });
  await assert.rejects(resume(["hf://owner/model"], fake.io, { open }), /is on the Hub, and checkpoints/);
  await bucket.write("checkpoints/run.json", bytes(runJson({ config })));
  await resume(["gs://moved"], fake.io, { open });
  assert.equal(fake.jobs[1]!.config.job.uploadUri, "gs://moved");
});

Deno.test("config init prints a file that names every option and validates", async () => {
  const text = configTemplate();
  for (const { wireName } of CONFIG_FIELDS) assert.match(text, new RegExp(`^(# )?${wireName}: `, "m"));
  const file = await readConfigFile("job.yaml", () => Promise.resolve(text));
  assert.equal(parseFineTuneJobConfig(file).job.outputModelName, "my-model");
  // Every default that is shown is one that is accepted.
  const names = CONFIG_FIELDS.map(({ wireName }) => wireName).join("|");
  const all = text.replace(new RegExp(`^# (?=(?:${names}): )`, "gm"), "");
  const spelt = await readConfigFile("job.yaml", () => Promise.resolve(all));
  assert.deepEqual(toWire(parseFineTuneJobConfig(spelt)), toWire(parseFineTuneJobConfig(file)));
});

Deno.test("completion prints a script for each shell, with verbs, flags and words", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const fake = fakeIo();
    assert.equal(await runCommand(["completion", shell], fake.io), 0);
    for (const word of ["train", "merge", "lora-r", "none|4bit|8bit".replaceAll("|", " "), "validate"]) {
      assert.ok(fake.stdout.text.includes(word), `${shell}: ${word}`);
    }
  }
  const fake = fakeIo();
  assert.equal(await runCommand(["completion", "tcsh"], fake.io), 2);
  assert.match(fake.stderr.text, /"tcsh" is not a shell that is known: name one of bash, zsh, fish/);
});

Deno.test({
  name: "bash completes verbs, flags and the words that a flag takes",
  ignore: Deno.build.os === "windows",
  async fn() {
    const fake = fakeIo();
    await runCommand(["completion", "bash"], fake.io);
    const complete = async (...words: string[]) => {
      const script = `${fake.stdout.text}
        COMP_WORDS=(lowrank ${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length}
        _lowrank; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout } = await new Deno.Command("bash", { args: ["--norc", "-c", script] }).output();
      return new TextDecoder().decode(stdout).trim().split("\n");
    };
    assert.deepEqual(await complete("mer"), ["merge"]);
    assert.deepEqual(await complete("train", "--lora-al"), ["--lora-alpha"]);
    assert.deepEqual(await complete("train", "--quantization", ""), ["none", "4bit", "8bit"]);
    assert.ok((await complete("config", "v")).includes("validate"));
  },
});
