import assert from "node:assert/strict";
import { readAdapter } from "../src/checkpoint/adapter.ts";
import { toWire } from "../src/config.ts";
import { totalBytes } from "../src/memory_plan.ts";
import { ModelManager } from "../src/model_manager.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { tilesOf } from "../src/tuning/for_run.ts";
import { device, onGpu } from "./helpers/device.ts";
import { folderAt, jobDisk } from "./helpers/job_disk.ts";
import {
  ADAPTER_FILES,
  CHATS,
  evalLosses,
  jobOf,
  jsonl,
  MERGED_FILES,
  ofType,
  readJson,
  readRows,
  run,
  RUN_FILES,
  summaryOf,
  type Wire,
  written,
} from "./helpers/job_runs.ts";
import { TINY_CONFIG, TINY_PARAMETERS } from "./helpers/tiny_model.ts";

onGpu("run() tells checks, plan, steps, evaluations and files in order, and records them", async () => {
  const root = await jobDisk();
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
    "merging",
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
    const root = await jobDisk();
    const events = await run(root, { save, max_steps: 1 });
    assert.deepEqual(await written(root), [...RUN_FILES, ...wanted]);
    assert.deepEqual(ofType(events, "saved").map(({ what, path }) => [what, path]), [
      [save, `disk/runs/ember/${save}`],
    ]);
  }
});

onGpu("run() saves an adapter of the shapes, rank and targets that were asked for", async () => {
  const root = await jobDisk();
  const lora = { target_modules: ["q_proj", "down_proj"], lora_r: 3, lora_alpha: 5 };
  await run(root, { ...lora, use_rslora: true, lora_dropout: 0.25, save: "adapter" });
  const { config, tensors } = await readAdapter(root.folder("runs/ember/adapter"));
  assert.deepEqual(config, {
    baseModel: "base",
    rank: 3,
    alpha: 5,
    dropout: 0.25,
    targetModules: ["down_proj", "q_proj"],
    useRslora: true,
    useDora: false,
    bias: "none",
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
    const root = await jobDisk(model, jsonl(CHATS));
    const events = await run(root, { max_steps: 20, learning_rate: 0.01, max_length: 32 });
    const [before, after] = evalLosses(events);
    assert.ok(after! < 0.7 * before!, `${before} to ${after}`);
    const manager = new ModelManager((uri) => folderAt(root, uri));
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
  const root = await jobDisk({}, jsonl(["amber", "birch", "cedar", "dogwood"].map((text) => ({ text }))));
  const events = await run(root, { max_steps: 60, learning_rate: 0.01, train_test_split: 0, save: "merged" });
  const { loss } = ofType(events, "step").at(-1)!;
  assert.ok(loss < 0.01, `the last loss is ${loss}`);
  assert.equal(events.at(-1)!.type, "finished");
});

onGpu("run() takes special-token text in messages for text, unless allow_special_tokens is set", async () => {
  const turns = [{ role: "user", content: "?" }, { role: "assistant", content: "<|end|>".repeat(3) }];
  const root = await jobDisk({}, jsonl(Array.from({ length: 4 }, () => ({ messages: turns }))));
  const trained = async (wire: Wire) =>
    summaryOf(await run(root, { train_test_split: 0, ...wire }, { dryRun: true })).trainableTokensPerEpoch;
  const [text, special] = [await trained({}), await trained({ allow_special_tokens: true })];
  assert.equal(text - special, 4 * 3 * ("<|end|>".length - 1)); // seven bytes each, or one token
});

onGpu("run() with dryRun tells the plan and writes nothing", async () => {
  const root = await jobDisk();
  const events = await run(root, {}, { dryRun: true });
  assert.equal(events.at(-1)!.type, "started");
  const summary = summaryOf(events);
  assert.equal(summary.trainableParameters, 4 * 2 * (2 * (32 + 48) + 2 * (32 + 24) + 3 * (32 + 44)));
  assert.ok(totalBytes(summary.memory) > 4 * TINY_PARAMETERS.tied);
  assert.deepEqual(await written(root), []);
});

onGpu(
  "run() with measuresStep foretells all steps by the second one's rate, and writes nothing",
  async () => {
    const root = await jobDisk();
    const events = await run(root, { num_train_epochs: 5 }, { dryRun: true, measuresStep: true });
    const estimate = events.at(-1)!;
    assert.ok(estimate.type === "estimated", estimate.type);
    const { steps, seconds, stepSeconds, tokensPerSecond } = estimate;
    assert.equal(steps, summaryOf(events).totalSteps);
    assert.equal(seconds, steps * stepSeconds);
    const trained = await run(root, { num_train_epochs: 5 });
    const tokens = trained.findLast((event) => event.type === "step")!.tokens;
    assert.ok(
      Math.abs(seconds * tokensPerSecond / tokens - 1) < 1e-9,
      `${seconds * tokensPerSecond} of ${tokens}`,
    );
  },
);

onGpu("run() with measuresStep tells of one step where there is no second", async () => {
  const events = await run(await jobDisk(), { max_steps: 1 }, { dryRun: true, measuresStep: true });
  const estimate = events.at(-1)!;
  assert.ok(estimate.type === "estimated", estimate.type);
  assert.ok(estimate.steps === 1 && estimate.seconds > 0 && Number.isFinite(estimate.seconds));
});

onGpu(
  "run() answers the user's prompts and held-out ones before and after, and counts the exact ones",
  async () => {
    const root = await jobDisk({}, jsonl(CHATS));
    const wire = {
      num_generation_samples: 2,
      sample_prompts: ["?"],
      exact_match: true,
      train_test_split: 0.3,
      save: "adapter",
    };
    const events = await run(root, { ...wire, learning_rate: 0.03, max_steps: 60, batch_size: 7 });
    const [before, after] = ofType(events, "sampled");
    assert.ok(before && after);
    assert.deepEqual([before.step, after.step, before.rows, after.rows], [0, 60, 3, 3]);
    assert.equal(before.samples.length, 3);
    const [own, ...heldOut] = after.samples;
    assert.deepEqual([own!.prompt, own!.expected], ["?", null]);
    assert.equal(own!.answer, heldOut[0]!.answer); // all rows ask the same
    for (const [i, { prompt, expected, answer }] of after.samples.entries()) {
      assert.match(prompt, /\?/);
      if (i > 0) assert.match(expected!, /^row \d(ab)*$/);
      assert.equal(expected, before.samples[i]!.expected);
      assert.notEqual(answer, before.samples[i]!.answer);
      assert.match(answer, /^row/); // what all trained answers have in common
    }
    const record = await readJson(root.folder("runs/ember"), "run.json");
    assert.deepEqual(
      [record.exact_match_before, record.exact_match_after],
      [before.exactMatch, after.exactMatch],
    );
  },
);

onGpu("run() asks nothing where rows have no prompt", async () => {
  const events = await run(await jobDisk(), { exact_match: true });
  assert.deepEqual(ofType(events, "sampled"), []);
});

onGpu(
  "run() goes on from the user's prompts where rows are plain text, and refuses one that is too long",
  async () => {
    const root = await jobDisk();
    const events = await run(root, { sample_prompts: ["row 1, "], exact_match: true, save: "adapter" });
    const [before, after] = ofType(events, "sampled");
    assert.deepEqual([before!.exactMatch, before!.rows, after!.samples.length], [null, 0, 1]);
    await assert.rejects(
      run(root, { sample_prompts: ["row", "row ".repeat(400)], overwrite: true }),
      /sample_prompts: number 2 has \d+ tokens: 1\.\.\d+ are possible with this model/,
    );
  },
);
