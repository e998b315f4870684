import assert from "node:assert/strict";
import { readAdapter } from "../src/checkpoint/adapter.ts";
import { parseFineTuneJobConfig, toWire } from "../src/config.ts";
import {
  ConfigError,
  DatasetFormatError,
  DivergedError,
  GpuMemoryError,
  GpuUnavailableError,
  ModelFormatError,
  StorageNotFoundError,
  UnsupportedModelError,
} from "../src/errors.ts";
import { createFineTuneJob, type FineTuneJobDeps } from "../src/fine_tune_job.ts";
import type { RunSummary, TrainingEvent } from "../src/job.ts";
import { totalBytes } from "../src/memory_plan.ts";
import { ModelManager } from "../src/model_manager.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { type Folder, readText, writeFile } from "../src/storage.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { tilesOf } from "../src/tuning/for_run.ts";
import { device, onGpu } from "./helpers/device.ts";
import { TINY_CONFIG, TINY_PARAMETERS, type TinyModelOptions, writeTinyModel } from "./helpers/tiny_model.ts";

type Wire = Record<string, unknown>;

const TEXTS = Array.from({ length: 10 }, (_, i) => ({ text: `row ${i}${"ab".repeat(i % 4)}` }));
const CHATS = TEXTS.map(({ text }) => ({
  messages: [{ role: "user", content: "?" }, { role: "assistant", content: text }],
}));
const jsonl = (rows: readonly unknown[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

/** A disk in memory: a base model in `base`, rows in `train.jsonl`. */
async function diskOf(model: TinyModelOptions = {}, rows: string = jsonl(TEXTS)): Promise<MemoryFolder> {
  const root = new MemoryFolder("disk", { "train.jsonl": rows });
  await writeTinyModel(root.folder("base"), model);
  return root;
}

function folderOf(root: MemoryFolder, uri: string): Folder {
  const path = uri.split("/").filter((part) => part !== "" && part !== ".").join("/");
  return path === "" ? root : root.folder(path);
}

function jobOf(root: MemoryFolder, wire: Wire, deps: Partial<FineTuneJobDeps> = {}) {
  const config = parseFineTuneJobConfig({
    base_model: "base",
    output_model_name: "ember",
    training_data_path: "train.jsonl",
    lora_r: 4,
    max_steps: 3,
    learning_rate: 1e-3,
    ...wire,
  });
  const files = (uri: string) => folderOf(root, uri);
  return { config, job: createFineTuneJob(config, { files, ...(device ? { device } : {}), ...deps }) };
}

/** Runs a job to its end. */
async function run(
  root: MemoryFolder,
  wire: Wire = {},
  deps: Partial<FineTuneJobDeps> = {},
): Promise<TrainingEvent[]> {
  return await Array.fromAsync(jobOf(root, wire, deps).job.run());
}

/** Every file of the run's folders, by path. */
const RUN_FILES = ["metrics.jsonl", "report.html", "run.json", "trainer_state.json"];

async function written(root: MemoryFolder, folder = "runs/ember"): Promise<string[]> {
  const below = await Promise.all(["", "/adapter", "/merged"].map(async (name) => {
    const files = await root.folder(folder + name).list();
    return files.map((file) => `${name}/${file}`.replace(/^\//, ""));
  }));
  return below.flat();
}

const readJson = async (folder: Folder, name: string) => JSON.parse(await readText(folder, name));
const readRows = async (folder: Folder) =>
  (await readText(folder, "metrics.jsonl")).trimEnd().split("\n").map((line) => JSON.parse(line));
const ofType = <T extends TrainingEvent["type"]>(events: readonly TrainingEvent[], type: T) =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);
const summaryOf = (events: readonly TrainingEvent[]): RunSummary => ofType(events, "started")[0]!.summary;
const evalLosses = (events: readonly TrainingEvent[]) =>
  ofType(events, "evaluated").map((event) => event.evalLoss);

const ADAPTER_FILES = [
  "adapter/README.md",
  "adapter/adapter_config.json",
  "adapter/adapter_model.safetensors",
];
const MERGED_FILES = [
  "merged/README.md",
  "merged/config.json",
  "merged/model.safetensors",
  "merged/tokenizer.json",
  "merged/tokenizer_config.json",
];

onGpu("run() tells checks, plan, steps, evaluations and files in order, and records them", async () => {
  const root = await diskOf();
  const { config, job } = jobOf(root, { eval_steps: 2 });
  const events = await Array.fromAsync(job.run());
  const order = events.map((event) =>
    event.type === "phase" ? event.message : event.type === "saved" ? event.what : event.type
  );
  assert.deepEqual(order, [
    "reading the base model",
    "reading the data",
    "planning",
    "choosing kernels",
    "started",
    "loading the base model",
    "compiling kernels",
    "evaluated",
    "step",
    "step",
    "evaluated",
    "step",
    "evaluated",
    "checkpointed",
    "saving",
    "adapter",
    "reading the merged model back",
    "merged",
    "finished",
  ]);

  const summary = summaryOf(events);
  assert.deepEqual(
    [summary.baseModel, summary.totalParameters, summary.trainExamples, summary.evalExamples],
    ["base", TINY_PARAMETERS.tied, 9, 1],
  );
  assert.deepEqual([summary.totalSteps, summary.stepsPerEpoch, summary.effectiveBatchSize], [3, 3, 4]);

  const output = root.folder("runs/ember");
  assert.deepEqual(await written(root), [...RUN_FILES, ...ADAPTER_FILES, ...MERGED_FILES]);
  const steps = ofType(events, "step"), losses = evalLosses(events);
  const accuracies = ofType(events, "evaluated").map(({ evalTokenAccuracy }) => evalTokenAccuracy);
  const evaluation = (i: number) => ({ eval_loss: losses[i], eval_token_accuracy: accuracies[i] });
  const none = {
    loss: null,
    token_accuracy: null,
    learning_rate: null,
    grad_norm: null,
    tokens: null,
    tokens_per_second: null,
  };
  const row = (
    { step, epoch, loss, tokenAccuracy, learningRate, gradNorm, tokens, tokensPerSecond }:
      typeof steps[number],
  ) => {
    return {
      step,
      epoch,
      loss,
      token_accuracy: tokenAccuracy,
      learning_rate: learningRate,
      grad_norm: gradNorm,
      tokens,
      tokens_per_second: tokensPerSecond,
    };
  };
  assert.deepEqual(await readRows(output), [
    { step: 0, epoch: 0, ...evaluation(0), ...none },
    { ...row(steps[0]!), eval_loss: null, eval_token_accuracy: null },
    { ...row(steps[1]!), ...evaluation(1) },
    { ...row(steps[2]!), ...evaluation(2) },
  ]);

  const record = await readJson(output, "run.json");
  assert.deepEqual(record.config, toWire(config));
  assert.deepEqual(
    [record.version, record.status, record.error, record.steps, record.total_steps],
    [1, "completed", null, 3, 3],
  );
  assert.deepEqual([record.eval_loss_before, record.eval_loss_after], [losses[0], losses[2]]);
  assert.equal(record.base_model.trainable_parameters, summary.trainableParameters);
  assert.equal(record.data[0].rows, 10);
  assert.deepEqual(record.micro_batch, { rows: config.training.batchSize, length: 16, recomputed_blocks: 0 });
  assert.deepEqual(record.kernels.tiles, tilesOf(chooseVariants(device!.gpu)));
  assert.equal(record.kernels.reason, summary.choices[0]);
  const { seconds, ...finished } = ofType(events, "finished")[0]!;
  assert.ok(seconds > 0);
  assert.deepEqual(finished, {
    type: "finished",
    status: "completed",
    steps: 3,
    evalLossBefore: losses[0],
    evalLossAfter: losses[2],
  });
});

onGpu("run() writes what save asks for", async () => {
  for (const [save, wanted] of [["adapter", ADAPTER_FILES], ["merged", MERGED_FILES]] as const) {
    const root = await diskOf();
    const events = await run(root, { save, max_steps: 1 });
    assert.deepEqual(await written(root), [...RUN_FILES, ...wanted]);
    assert.deepEqual(ofType(events, "saved").map(({ what, path }) => [what, path]), [
      [save, `disk/runs/ember/${save}`],
    ]);
  }
});

onGpu("run() saves an adapter of the shapes, rank and targets that were asked for", async () => {
  const root = await diskOf();
  await run(root, { target_modules: ["q_proj", "down_proj"], lora_r: 3, lora_alpha: 5, save: "adapter" });
  const { config, tensors } = await readAdapter(root.folder("runs/ember/adapter"));
  assert.deepEqual(config, {
    baseModel: "base",
    rank: 3,
    alpha: 5,
    dropout: 0,
    targetModules: ["down_proj", "q_proj"],
  });
  const { hidden_size: C, intermediate_size: F, num_attention_heads: H, head_dim: D } = TINY_CONFIG;
  const shapes = new Map([...tensors].map(([name, { shape }]) => [name, [...shape]]));
  const layer = (i: number) => `base_model.model.model.layers.${i}`;
  for (const i of [0, 1]) {
    assert.deepEqual(shapes.get(`${layer(i)}.self_attn.q_proj.lora_A.weight`), [3, C]);
    assert.deepEqual(shapes.get(`${layer(i)}.self_attn.q_proj.lora_B.weight`), [H * D, 3]);
    assert.deepEqual(shapes.get(`${layer(i)}.mlp.down_proj.lora_A.weight`), [3, F]);
    assert.deepEqual(shapes.get(`${layer(i)}.mlp.down_proj.lora_B.weight`), [C, 3]);
  }
  assert.equal(shapes.size, 8);
});

onGpu("run() learns, from messages too, and the merged model opens with the base's tensors", async () => {
  for (const model of [{ dtype: "BF16" }, { dtype: "F16", tied: false, shards: 3 }] as const) {
    const root = await diskOf(model, jsonl(CHATS));
    const events = await run(root, { max_steps: 20, learning_rate: 0.01, max_length: 32 });
    const [before, after] = evalLosses(events);
    assert.ok(after! < 0.7 * before!, `${before} to ${after}`);
    const manager = new ModelManager((uri) => folderOf(root, uri));
    const [base, merged] = [await manager.open("base"), await manager.open("runs/ember/merged")];
    assert.deepEqual([...merged.weights.infos], [...base.weights.infos]);
    assert.deepEqual([...merged.weights.files.keys()], [...base.weights.files.keys()]);
    const loraTarget = "model.layers.1.mlp.up_proj.weight";
    assert.notDeepEqual(await merged.weights.readRaw(loraTarget), await base.weights.readRaw(loraTarget));
    const norm = "model.norm.weight";
    assert.deepEqual(await merged.weights.readRaw(norm), await base.weights.readRaw(norm));
  }
});

onGpu("run() accepts the merged model of a run whose loss is next to nothing", async () => {
  const root = await diskOf({}, jsonl(["amber", "birch", "cedar", "dogwood"].map((text) => ({ text }))));
  const events = await run(root, { max_steps: 60, learning_rate: 0.01, train_test_split: 0, save: "merged" });
  const { loss } = ofType(events, "step").at(-1)!;
  assert.ok(loss < 0.01, `the last loss is ${loss}`);
  assert.equal(events.at(-1)!.type, "finished");
});

onGpu("run() takes special-token text in messages for text, unless allow_special_tokens is set", async () => {
  const turns = [{ role: "user", content: "?" }, { role: "assistant", content: "<|end|>".repeat(3) }];
  const root = await diskOf({}, jsonl(Array.from({ length: 4 }, () => ({ messages: turns }))));
  const trained = async (wire: Wire) =>
    summaryOf(await run(root, { train_test_split: 0, ...wire }, { dryRun: true })).trainableTokensPerEpoch;
  const [text, special] = [await trained({}), await trained({ allow_special_tokens: true })];
  assert.equal(text - special, 4 * 3 * ("<|end|>".length - 1)); // seven bytes each, or one token
});

onGpu("run() with dryRun tells the plan and writes nothing", async () => {
  const root = await diskOf();
  const events = await run(root, {}, { dryRun: true });
  assert.equal(events.at(-1)!.type, "started");
  const summary = summaryOf(events);
  assert.equal(summary.trainableParameters, 4 * 2 * (2 * (32 + 48) + 2 * (32 + 24) + 3 * (32 + 44)));
  assert.ok(totalBytes(summary.memory) > 4 * TINY_PARAMETERS.tied);
  assert.deepEqual(await written(root), []);
});

onGpu("run() refuses a folder that holds a run, and replaces all of it where overwrite is set", async () => {
  const root = await diskOf();
  await run(root, { max_steps: 1 });
  await assert.rejects(run(root), (error: Error) => {
    assert.ok(error instanceof ConfigError);
    assert.deepEqual(error.issues, [{
      path: "output_dir",
      message: '"runs/ember" holds files already (metrics.jsonl, report.html, run.json): ' +
        "choose another output_model_name or output_dir, or set overwrite, or resume to go on from a checkpoint",
    }]);
    return true;
  });
  await run(root, { overwrite: true, max_steps: 2, save: "adapter", train_test_split: 0 });
  assert.deepEqual(await written(root), [...RUN_FILES, ...ADAPTER_FILES]);
  const output = root.folder("runs/ember");
  assert.deepEqual((await readRows(output)).map(({ step }) => step), [1, 2]);
  assert.equal((await readJson(output, "run.json")).steps, 2);
});

onGpu("run() leaves an earlier run as it is when the new one does not come to train", async () => {
  const root = await diskOf();
  await run(root, { max_steps: 1 });
  const before = await readText(root.folder("runs/ember"), "metrics.jsonl");
  const files = await written(root);
  await assert.rejects(
    run(root, { overwrite: true, training_data_path: "nowhere.jsonl" }),
    StorageNotFoundError,
  );
  await assert.rejects(run(root, { overwrite: true, lora_r: 999 }), ConfigError);
  assert.deepEqual(await written(root), files);
  assert.equal(await readText(root.folder("runs/ember"), "metrics.jsonl"), before);
});

onGpu("run() refuses to merge over the model that it trains", async () => {
  const root = await diskOf();
  await writeTinyModel(root.folder("runs/ember/merged"));
  const wire = { base_model: "./runs/ember/merged/", overwrite: true };
  await assert.rejects(run(root, wire), {
    name: "ConfigError",
    message: /^base_model: "\.\/runs\/ember\/merged\/" is where the merged model goes/,
  });
});

/** With this strength the first update lifts the activations out of f32's range. */
const ABSURD = { lora_alpha: 1e16, learning_rate: 10, lr_scheduler_type: "constant", max_grad_norm: 0 };

onGpu("run() that diverges is failed, with the error on record and no adapter", async () => {
  const root = await diskOf();
  const wire = { ...ABSURD, max_steps: 5, train_test_split: 0 };
  let message = "";
  await assert.rejects(run(root, wire), (error: Error) => {
    assert.ok(error instanceof DivergedError);
    assert.equal(error.step, 2);
    message = error.message;
    return true;
  });
  assert.deepEqual(await written(root), RUN_FILES);
  const { status, error, steps, finished_at } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error, steps], ["failed", message, 1]);
  assert.ok(Date.parse(finished_at) > 0);
  assert.deepEqual((await readRows(root.folder("runs/ember"))).map(({ step }) => step), [1]);
});

onGpu("run() that is aborted is cancelled, with the signal's reason and no adapter", async () => {
  const root = await diskOf();
  const controller = new AbortController();
  const { job } = jobOf(root, { max_steps: 50 }, { signal: controller.signal });
  const reason = new Error("asked to stop");
  await assert.rejects(async () => {
    for await (const event of job.run()) {
      if (event.type === "step" && event.step === 2) controller.abort(reason);
    }
  }, reason);
  assert.deepEqual(await written(root), RUN_FILES);
  const { status, error, steps } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error, steps], ["cancelled", "asked to stop", 2]);
});

onGpu("run() whose events nobody asks for any more is cancelled", async () => {
  const root = await diskOf();
  for await (const event of jobOf(root, { max_steps: 50 }).job.run()) if (event.type === "step") break;
  const { status, error } = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual([status, error], ["cancelled", null]);
});

onGpu("run() continues from an adapter exactly where it ended, with its rank and targets", async () => {
  const root = await diskOf();
  const first = await run(root, {
    target_modules: ["v_proj"],
    lora_r: 5,
    lora_alpha: 7,
    learning_rate: 0.02,
  });
  const second = await run(root, { adapter_path: "runs/ember/adapter", output_model_name: "further" });
  const [before, after] = evalLosses(first);
  assert.notEqual(after, before);
  assert.equal(evalLosses(second)[0], after);
  const { config } = await readAdapter(root.folder("runs/further/adapter"));
  assert.deepEqual([config.rank, config.alpha, config.targetModules], [5, 7, ["v_proj"]]);
});

onGpu("run() refuses an adapter of another model before it writes anything", async () => {
  const root = await diskOf();
  await run(root, { max_steps: 1, save: "adapter" });
  const wire = { adapter_path: "runs/ember/adapter", base_model: "other", output_model_name: "further" };
  await writeTinyModel(root.folder("other"), { config: { num_hidden_layers: 1 } });
  await assert.rejects(run(root, wire), {
    name: "ModelFormatError",
    message:
      /tensor "base_model\.model\.model\.layers\.1\.\S+" belongs to no targeted map of this model; take the base/,
  });
  await writeTinyModel(root.folder("other"), { config: { intermediate_size: 48 } });
  await assert.rejects(run(root, wire), {
    name: "ModelFormatError",
    message: /gate_proj\.lora_B\.weight" is \[44, 4\] and this model asks for \[48, 4\]/,
  });
  assert.deepEqual(await written(root, "runs/further"), []);
});

onGpu("run() computes activations again as far as the memory limit asks for it", async () => {
  const root = await diskOf({}, jsonl(CHATS));
  const wire = { batch_size: 8, eval_batch_size: 1 };
  const planned = async (more: Wire) => {
    const { memory, choices } = summaryOf(await run(root, { ...wire, ...more }, { dryRun: true }));
    return { bytes: totalBytes(memory), again: /of (\d) of 2 blocks/.exec(choices.join())?.[1] ?? "0" };
  };
  const none = await planned({}), all = await planned({ gradient_checkpointing: "on" });
  assert.deepEqual([none.again, all.again], ["0", "2"]);
  assert.ok(all.bytes < none.bytes);
  const memory_limit_gb = (none.bytes - 1) / 1e9;
  const fitted = await planned({ memory_limit_gb });
  assert.equal(fitted.again, "1");
  assert.ok(fitted.bytes < none.bytes && fitted.bytes >= all.bytes);
  await assert.rejects(
    run(root, { ...wire, memory_limit_gb, gradient_checkpointing: "off" }),
    /allows \d\S* MB: set gradient_checkpointing to auto$/,
  );
});

onGpu("run() refuses a plan beyond the memory limit and names settings that fit", async () => {
  const root = await diskOf({}, jsonl(CHATS));
  const wire = { batch_size: 8, eval_batch_size: 3, gradient_checkpointing: "on" };
  const memoryOf = async (more: Wire) =>
    summaryOf(await run(root, { ...wire, ...more }, { dryRun: true })).memory;
  const whole = totalBytes(await memoryOf({}));
  const smallest = totalBytes(await memoryOf({ batch_size: 1, eval_batch_size: 1, max_length: 32 }));
  for (const limit of [whole - 1, 0.7 * whole, (whole + 2 * smallest) / 3, smallest]) {
    const memory_limit_gb = limit / 1e9;
    let named: Wire = {};
    await assert.rejects(run(root, { ...wire, memory_limit_gb }), (error: Error) => {
      assert.ok(error instanceof GpuMemoryError);
      assert.match(
        error.message,
        /needs \d\S* MB on ".+" \(base weights .+\) and memory_limit_gb allows \d\S* MB: set /,
      );
      named = Object.fromEntries(
        [...error.message.matchAll(/(\w+) to (\d+)/g)].map(([, name, value]) => [name, Number(value)]),
      );
      assert.ok(Object.keys(named).length > 0, error.message);
      return true;
    });
    const fitting = totalBytes(await memoryOf({ ...named, memory_limit_gb }));
    assert.ok(fitting <= limit, `${JSON.stringify(named)} takes ${fitting} of ${limit}`);
  }
  await assert.rejects(
    run(root, { ...wire, memory_limit_gb: 1e-6 }),
    /lower lora_r, or use a smaller base model$/,
  );
  assert.deepEqual(await written(root), []);
});

onGpu("run() refuses a software adapter where a hardware GPU is required", async ({ gpu }) => {
  if (!gpu.software) {
    return assert.equal(summaryOf(await run(await diskOf(), { require_gpu: true })).softwareAdapter, false);
  }
  const root = await diskOf();
  for (const deps of [{}, { device: undefined }] as Partial<FineTuneJobDeps>[]) {
    await assert.rejects(run(root, { require_gpu: true }, deps), (error: Error) => {
      assert.ok(error instanceof GpuUnavailableError);
      assert.match(
        error.message,
        /^A hardware GPU is required and the only adapter is the software adapter ".+"/,
      );
      return true;
    });
  }
  assert.deepEqual(await written(root), []);
});

/** What is wrong with the disk or the options, and how the job refuses it. */
interface Refusal {
  readonly what: string;
  readonly model?: TinyModelOptions;
  readonly rows?: string;
  readonly wire?: Wire;
  readonly damage?: (base: MemoryFolder) => Promise<void>;
  readonly error: abstract new (...args: never[]) => Error;
  readonly message: RegExp;
}

const WEIGHTS = "model.safetensors";

async function rewriteWeights(
  base: MemoryFolder,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
): Promise<void> {
  const file = await base.open(WEIGHTS);
  await writeFile(base, WEIGHTS, change(await file.read(0, file.size)));
}

/** Swaps text of the header for text of the same length. */
function inHeader(from: string, to: string): (base: MemoryFolder) => Promise<void> {
  assert.equal(from.length, to.length);
  return (base) =>
    rewriteWeights(base, (bytes) => {
      const text = new TextDecoder("latin1").decode(bytes);
      assert.ok(text.includes(from), "the header lacks what the test changes");
      bytes.set(new TextEncoder().encode(to), text.indexOf(from));
      return bytes;
    });
}

const REFUSALS: readonly Refusal[] = [
  {
    what: "a base model that is not there",
    wire: { base_model: "nowhere" },
    error: StorageNotFoundError,
    message: /Cannot find a model at "nowhere": the folder is empty or does not exist/,
  },
  {
    what: "weights that are cut short",
    damage: (base) => rewriteWeights(base, (bytes) => bytes.subarray(0, bytes.length - 5)),
    error: ModelFormatError,
    message: /"disk\/base\/model\.safetensors" as safetensors: .+ it is cut short, fetch it again/,
  },
  {
    what: "a header whose shape contradicts its bytes",
    damage: inHeader('"shape":[44,32]', '"shape":[45,32]'),
    error: ModelFormatError,
    message: /"disk\/base\/model\.safetensors" as safetensors: .*\[45, 32\]/,
  },
  {
    what: "a config that asks for other shapes than the weights have",
    damage: async (base) => {
      const config = await readJson(base, "config.json");
      await writeFile(base, "config.json", JSON.stringify({ ...config, intermediate_size: 40 }));
    },
    error: ModelFormatError,
    message:
      /tensor "model\.layers\.0\.mlp\.gate_proj\.weight" is \[44, 32\], config\.json asks for \[40, 32\]/,
  },
  {
    what: "heads that attention cannot read",
    model: { config: { head_dim: 10 } },
    error: UnsupportedModelError,
    message: /its heads are 10 wide, and multiples of 4 are supported/,
  },
  {
    what: "a tokenizer that knows more than the model",
    model: { config: { vocab_size: 100, bos_token_id: 1, eos_token_id: 2 } },
    error: ModelFormatError,
    message: /the tokenizer gives token id \d+ and the model knows ids below 100; take the tokenizer\.json/,
  },
  {
    what: "messages for a model without a chat template",
    model: { tokenizer: { chat_template: undefined } },
    rows: jsonl(CHATS),
    error: DatasetFormatError,
    message: /has messages, but the model has no chat template/,
  },
  {
    what: "a max_length that leaves nothing to train",
    rows: jsonl(CHATS),
    wire: { max_length: 8 },
    error: DatasetFormatError,
    message:
      /no trained token within the first 8 tokens of any row: raise max_length \(the longest row has \d+ tokens\)/,
  },
  {
    what: "bad lines, all of them",
    rows: `${JSON.stringify(TEXTS[0])}\n{"text": 5}\n{"text": "cut\n`,
    error: DatasetFormatError,
    message: /^disk\/train\.jsonl:2: .+\ndisk\/train\.jsonl:3: /,
  },
  {
    what: "data that is not there",
    wire: { training_data_path: "data/nowhere.jsonl" },
    error: StorageNotFoundError,
    message: /Cannot open "disk\/data\/nowhere\.jsonl"/,
  },
  {
    what: "a target that is no linear map",
    wire: { target_modules: ["q_proj", "qproj"] },
    error: ConfigError,
    message: /^target_modules: Cannot apply LoRA to "qproj" as no linear map of the model is called so/,
  },
  {
    what: "a rank beyond a map's smaller side",
    wire: { lora_r: 25 },
    error: ConfigError,
    message:
      /^lora_r: must be at most 24, the smaller side of "model\.layers\.0\.self_attn\.k_proj": current value is 25/,
  },
  {
    what: "an adapter that is not there",
    wire: { adapter_path: "runs/none/adapter" },
    error: StorageNotFoundError,
    message: /adapter_config\.json/,
  },
];

for (const { what, model, rows, wire = {}, damage, error: kind, message } of REFUSALS) {
  onGpu(`run() refuses ${what} and writes nothing`, async () => {
    const root = await diskOf(model, rows);
    await damage?.(root.folder("base"));
    const before = await root.folder("base").list();
    await assert.rejects(run(root, wire), (error: Error) => {
      assert.ok(error instanceof kind, `${error}`);
      assert.match(error.message, message);
      return true;
    });
    assert.deepEqual(await written(root), []);
    assert.deepEqual([await root.list(), await root.folder("base").list()], [["train.jsonl"], before]);
  });
}

onGpu("run() answers held-out prompts before and after, and counts the exact ones", async () => {
  const root = await diskOf({}, jsonl(CHATS));
  const wire = { num_generation_samples: 2, exact_match: true, train_test_split: 0.3, save: "adapter" };
  const events = await run(root, { ...wire, learning_rate: 0.03, max_steps: 60, batch_size: 7 });
  const [before, after] = ofType(events, "sampled");
  assert.ok(before && after);
  assert.deepEqual([before.step, after.step, before.rows, after.rows], [0, 60, 3, 3]);
  assert.equal(before.samples.length, 2);
  for (const [i, { prompt, expected, answer }] of after.samples.entries()) {
    assert.match(prompt, /\?/);
    assert.match(expected, /^row \d(ab)*$/);
    assert.equal(expected, before.samples[i]!.expected);
    assert.notEqual(answer, before.samples[i]!.answer);
    assert.match(answer, /^row/); // what all trained answers have in common
  }
  const record = await readJson(root.folder("runs/ember"), "run.json");
  assert.deepEqual(
    [record.exact_match_before, record.exact_match_after],
    [before.exactMatch, after.exactMatch],
  );
});

onGpu("run() asks nothing where rows have no prompt", async () => {
  const events = await run(await diskOf(), { exact_match: true });
  assert.deepEqual(ofType(events, "sampled"), []);
});
