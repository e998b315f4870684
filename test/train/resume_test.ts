/**
 * A run that is stopped and resumed against one that is not: every file bit for bit.
 */
import assert from "node:assert/strict";
import { RESUME_FILE } from "../../src/checkpoint/resume_record.ts";
import { ConfigError } from "../../src/errors.ts";
import type { TrainingEvent } from "../../src/job.ts";
import { TrainableModel } from "../../src/models/trainable_model.ts";
import { type Folder, readText, writeFile } from "../../src/storage.ts";
import type { MemoryFolder } from "../../src/storage/memory.ts";
import { onGpu } from "../helpers/device.ts";
import { jobDisk, jobOn, ROWS, runOn } from "../helpers/job_disk.ts";
import { bytes, left } from "../helpers/run_leavings.ts";

type Wire = Readonly<Record<string, unknown>>;

/** 9 rows to train on: 3 steps an epoch, the last of one micro-batch; reports and evaluations do not coincide. */
const WIRE: Wire = {
  max_steps: 8,
  batch_size: 2,
  gradient_accumulation_steps: 2,
  eval_batch_size: 2,
  eval_steps: 2,
  logging_steps: 3,
  learning_rate: 0.01,
  weight_decay: 0.01,
  neftune_noise_alpha: 5,
  lora_dropout: 0.2,
  use_dora: true,
};

/** Runs until an event is met, then stops the job by its signal. */
async function runUntil(
  root: MemoryFolder,
  wire: Wire,
  stopsAt: (event: TrainingEvent) => boolean,
): Promise<TrainingEvent[]> {
  const controller = new AbortController();
  const reason = new Error("stopped by the test");
  const events: TrainingEvent[] = [];
  await assert.rejects(async () => {
    for await (const event of jobOn(root, wire, { signal: controller.signal }).run()) {
      events.push(event);
      if (stopsAt(event)) controller.abort(reason);
    }
  }, reason);
  return events;
}

/** Runs until a micro-batch of the whole run (from 1) was submitted. */
async function runUntilBatch(root: MemoryFolder, wire: Wire, last: number): Promise<TrainingEvent[]> {
  const controller = new AbortController();
  const reason = new Error("stopped by the test");
  const accumulate = TrainableModel.prototype.accumulate;
  let batches = 0;
  TrainableModel.prototype.accumulate = function (...batch) {
    if (++batches === last) controller.abort(reason);
    return accumulate.call(this, ...batch);
  };
  const events: TrainingEvent[] = [];
  try {
    await assert.rejects(async () => {
      for await (const event of jobOn(root, wire, { signal: controller.signal }).run()) events.push(event);
    }, reason);
  } finally {
    TrainableModel.prototype.accumulate = accumulate;
  }
  return events;
}

const stepOf = (events: readonly TrainingEvent[], type: "checkpointed" | "resumed") =>
  events.flatMap((event) => (event.type === type ? [event.step] : []));
const warningsOf = (events: readonly TrainingEvent[]) =>
  events.flatMap((event) => (event.type === "warning" ? [event.message] : []));

onGpu(
  "a run stopped after any report or evaluation and resumed leaves what the undisturbed run leaves",
  async () => {
    const undisturbed = await jobDisk();
    const events = await runOn(undisturbed, WIRE);
    const want = await left(undisturbed);
    const told = events.filter(({ type }) => type === "step" || type === "evaluated");
    assert.equal(told.length, 8); // reports after 3, 6, 8; evaluations after 0, 2, 4, 6, 8
    for (const stop of told.slice(1, -1) as Extract<TrainingEvent, { type: "step" | "evaluated" }>[]) {
      const root = await jobDisk();
      await runUntil(root, WIRE, (event) => event.type === stop.type && event.step === stop.step);
      const resumed = await runOn(root, { ...WIRE, resume: "auto" });
      assert.deepEqual(stepOf(resumed, "resumed"), [stop.step], `${stop.type} ${stop.step}`);
      assert.deepEqual(await left(root), want, `${stop.type} ${stop.step}`);
    }
  },
);

onGpu(
  "a run stopped between the micro-batches of a step repeats that step, whatever it had summed",
  async () => {
    const undisturbed = await jobDisk();
    await runOn(undisturbed, WIRE);
    const want = await left(undisturbed);
    // steps of an epoch have 2, 2 and 1 micro-batches; the 10th is the whole of step 6
    for (const [batch, step] of [[3, 1], [6, 3], [8, 4], [10, 6]] as const) {
      const root = await jobDisk();
      const events = await runUntilBatch(root, WIRE, batch);
      assert.deepEqual(stepOf(events, "checkpointed"), [step], `micro-batch ${batch}`);
      await runOn(root, { ...WIRE, resume: "auto" });
      assert.deepEqual(await left(root), want, `micro-batch ${batch}`);
    }
  },
);

onGpu("a run stopped many times, over several epochs, leaves what the undisturbed run leaves", async () => {
  const undisturbed = await jobDisk();
  await runOn(undisturbed, WIRE);
  const root = await jobDisk();
  const steps: number[] = [];
  for (let i = 0; i < 3; i++) {
    const events = await runUntilBatch(root, { ...WIRE, resume: "auto" }, 4);
    steps.push(...stepOf(events, "checkpointed"));
  }
  await runOn(root, { ...WIRE, resume: "auto" });
  assert.deepEqual(steps, [2, 4, 6]);
  assert.deepEqual(await left(root), await left(undisturbed));
});

onGpu("a run stopped before its first step starts anew", async () => {
  const root = await jobDisk();
  const events = await runUntilBatch(root, WIRE, 1);
  assert.deepEqual(stepOf(events, "checkpointed"), []);
  const again = await runOn(root, { ...WIRE, resume: "auto" });
  assert.deepEqual(stepOf(again, "resumed"), []);
  assert.equal(again.at(-1)!.type, "finished");
});

onGpu("checkpoints come every save_steps and at the end; the oldest beyond save_total_limit go", async () => {
  const root = await jobDisk();
  const events = await runOn(root, { ...WIRE, save_steps: 3, save_total_limit: 2 });
  assert.deepEqual(stepOf(events, "checkpointed"), [3, 6, 8]);
  const output = root.folder("runs/ember");
  assert.deepEqual(await output.folders(), ["adapter", "checkpoint-6", "checkpoint-8"]);
  assert.deepEqual(await output.folder("checkpoint-8").list(), [
    "adapter_config.json",
    "adapter_model.safetensors",
    "optimizer.safetensors",
    "resume.json",
    "trainer_state.json",
  ]);
});

onGpu("writing checkpoints changes nothing of the run", async () => {
  const [often, once] = [await jobDisk(), await jobDisk()];
  await runOn(often, { ...WIRE, save_steps: 1 });
  await runOn(once, { ...WIRE, save_minutes: 0 });
  assert.deepEqual(await left(often), await left(once));
});

onGpu(
  "a run that is complete is saved again from its last checkpoint, its numbers as they were",
  async () => {
    const root = await jobDisk();
    const [first] = (await runOn(root, WIRE)).slice(-1);
    const want = await left(root);
    const events = await runOn(root, { ...WIRE, resume: "auto" });
    const again = events.at(-1)!;
    assert.ok(first?.type === "finished" && again.type === "finished");
    assert.deepEqual({ ...again, seconds: 0 }, { ...first, seconds: 0 });
    const kept = JSON.parse(await readText(root.folder("runs/ember/checkpoint-8"), RESUME_FILE));
    assert.ok(again.seconds > kept.progress.seconds);
    assert.deepEqual(events.filter(({ type }) => type === "step"), []);
    assert.deepEqual(await left(root), want);
  },
);

onGpu(
  "a damaged checkpoint is passed over with a warning, the one before it is taken, with the same end",
  async () => {
    const undisturbed = await jobDisk();
    await runOn(undisturbed, WIRE);
    const want = await left(undisturbed);
    for (
      const file of ["adapter_config.json", "adapter_model.safetensors", "optimizer.safetensors", RESUME_FILE]
    ) {
      for (const damage of ["cut", "flip", "remove"]) {
        const root = await jobDisk();
        await runUntilBatch(root, { ...WIRE, save_steps: 2 }, 8);
        const output = root.folder("runs/ember");
        assert.deepEqual(await output.folders(), ["checkpoint-2", "checkpoint-4"]);
        await harm(output.folder("checkpoint-4"), file, damage);
        const events = await runOn(root, { ...WIRE, resume: "auto" });
        const [warning, ...more] = warningsOf(events);
        assert.match(
          warning!,
          new RegExp(`checkpoint-4/${file}"[^]*; step 2 is taken$`),
          `${damage} ${file}`,
        );
        assert.deepEqual(more, []);
        assert.deepEqual(stepOf(events, "resumed"), [2]);
        assert.deepEqual(await left(root), want, `${damage} ${file}`);
        assert.deepEqual(await output.folders(), ["adapter", "checkpoint-2", "checkpoint-8"]);
      }
    }
  },
);

async function harm(folder: Folder, name: string, damage: string): Promise<void> {
  if (damage === "remove") return await folder.remove(name);
  const content = await bytes(folder, name);
  if (damage === "cut") return await writeFile(folder, name, content.subarray(0, content.length - 3));
  content[content.length >> 1]! ^= 4;
  await writeFile(folder, name, content);
}

onGpu(
  "resume names everything in which the run differs from the checkpoint's, and leaves it as it is",
  async () => {
    const root = await jobDisk();
    await runUntilBatch(root, WIRE, 4);
    const metrics = await readText(root.folder("runs/ember"), "metrics.jsonl");
    await writeFile(root, "other.jsonl", ROWS.replace("row 3", "row 4"));
    const wire = {
      ...WIRE,
      resume: "auto",
      learning_rate: 0.02,
      max_steps: 16,
      training_data_path: "other.jsonl",
      logging_steps: 1,
      save_steps: 1,
    };
    await assert.rejects(runOn(root, wire), (error: Error) => {
      assert.ok(error instanceof ConfigError);
      const [hash, ...rest] = error.issues.toReversed();
      assert.deepEqual(rest.reverse().map(({ path, message }) => `${path} ${message}`), [
        "max_steps must be 8 as in checkpoint-2, since the learning rates depend on the length of the run " +
        "(a new run with adapter_path trains its adapter on): current value is 16",
        "learning_rate must be 0.01 as in checkpoint-2: current value is 0.02",
      ]);
      assert.match(
        `${hash!.path} ${hash!.message}`,
        /^training_data_path must hold the same rows as in checkpoint-2 \(sha256 [0-9a-f]{12}\): found sha256 [0-9a-f]{12}$/,
      );
      return true;
    });
    assert.equal(await readText(root.folder("runs/ember"), "metrics.jsonl"), metrics);
  },
);

onGpu(
  "a run whose learning rates do not depend on its length may be made longer, with the same bits",
  async () => {
    const wire = { ...WIRE, lr_scheduler_type: "constant", logging_steps: 1, eval_steps: 1 };
    const long = await jobDisk();
    await runOn(long, wire);
    const root = await jobDisk();
    await runOn(root, { ...wire, max_steps: 4 });
    await runOn(root, { ...wire, resume: "runs/ember/checkpoint-4/" });
    assert.deepEqual(await left(root), await left(long));
    await assert.rejects(runOn(root, { ...wire, max_steps: 6, resume: "auto" }), {
      name: "ConfigError",
      message: "max_steps: leads to 6 steps, and checkpoint-8 has more: current value is 6",
    });
  },
);

onGpu("resume takes no checkpoint of another folder, and none of a newer format", async () => {
  const root = await jobDisk();
  await runUntilBatch(root, WIRE, 4);
  await assert.rejects(runOn(root, { ...WIRE, resume: "runs/other/checkpoint-1" }), {
    name: "ConfigError",
    message: "resume: must be auto or runs/ember/checkpoint-N, a checkpoint in output_dir: " +
      'current value is "runs/other/checkpoint-1"',
  });
  await assert.rejects(runOn(root, { ...WIRE, resume: "runs/ember/checkpoint-7" }), {
    name: "StorageNotFoundError",
    message: /checkpoint-7\/resume\.json" as it is not there/,
  });
});

onGpu("a new run over an old one takes nothing of its checkpoints", async () => {
  const root = await jobDisk();
  await runOn(root, { ...WIRE, save_steps: 4 });
  await runUntilBatch(root, { ...WIRE, seed: 7, overwrite: true }, 4);
  const output = root.folder("runs/ember");
  assert.deepEqual(await output.folders(), ["adapter", "checkpoint-2"]);
});

onGpu("resume refuses a folder whose metrics.jsonl lost lines that the checkpoint counts", async () => {
  const root = await jobDisk();
  await runUntil(root, WIRE, (event) => event.type === "step" && event.step === 6);
  const output = root.folder("runs/ember");
  await output.truncate("metrics.jsonl", 20);
  await assert.rejects(runOn(root, { ...WIRE, resume: "auto" }), {
    name: "ModelFormatError",
    message: /metrics\.jsonl" lacks lines of the \d+ bytes that the checkpoint counts: bring the file back/,
  });
});

/** Everything that evaluations decide: rates, the end, and which weights are saved. The accuracy stays as it is for a while. */
const DECIDED: Wire = {
  ...WIRE,
  max_steps: 12,
  learning_rate: 1e-4,
  eval_steps: 1,
  metric_for_best_model: "eval_mean_token_accuracy",
  lr_scheduler_type: "reduce_lr_on_plateau",
  lr_scheduler_kwargs: { patience: 0, factor: 0.7, mode: "max" },
  early_stopping_patience: 3,
  load_best_model_at_end: true,
  save_total_limit: 1,
};

onGpu(
  "a run that follows evaluations and stops early is resumed bit for bit, and saves its best weights",
  async () => {
    const undisturbed = await jobDisk();
    const events = await runOn(undisturbed, DECIDED);
    const evaluations = events.flatMap((
      event,
    ) => (event.type === "evaluated" && event.step > 0 ? [event] : []));
    const best = evaluations.reduce((
      most,
      event,
    ) => (event.evalTokenAccuracy! > most.evalTokenAccuracy! ? event : most));
    const last = evaluations.at(-1)!.step;
    assert.ok(best.step === last - 3 && last < 12, `best ${best.step}, last ${last}`);
    const output = undisturbed.folder("runs/ember");
    assert.deepEqual(
      await output.folders(),
      ["adapter", `checkpoint-${best.step}`, `checkpoint-${last}`]
        .sort(),
    );
    const [finished] = events.slice(-1);
    assert.ok(finished?.type === "finished" && finished.evalLossAfter === best.evalLoss);
    const saved = await bytes(output.folder("adapter"), "adapter_model.safetensors");
    assert.deepEqual(
      saved,
      await bytes(output.folder(`checkpoint-${best.step}`), "adapter_model.safetensors"),
    );
    const want = await left(undisturbed, last);
    for (const stop of [best.step - 1, best.step, last - 1, last].filter((step) => step > 0)) {
      const root = await jobDisk();
      await runUntil(root, DECIDED, (event) => event.type === "evaluated" && event.step === stop).catch(
        () => {},
      );
      await runOn(root, { ...DECIDED, resume: "auto" });
      assert.deepEqual(await left(root, last), want, `stopped at ${stop}`);
    }
  },
);

onGpu(
  "sample_steps answers held-out prompts in the middle of training, and changes no bit of it",
  async () => {
    const rows = Array.from({ length: 10 }, (_, i) =>
      `${
        JSON.stringify({
          messages: [{ role: "user", content: `${i}?` }, { role: "assistant", content: "ab" }],
        })
      }\n`).join("");
    const wire = { ...WIRE, max_steps: 4, num_generation_samples: 1 };
    const [plain, asked] = [await jobDisk({}, rows), await jobDisk({}, rows)];
    const quiet = await runOn(plain, wire);
    const events = await runOn(asked, { ...wire, sample_steps: 1 });
    const stepsOf = (all: readonly TrainingEvent[]) =>
      all.flatMap((e) => (e.type === "sampled" ? [e.step] : []));
    assert.deepEqual(stepsOf(quiet), [0, 4]);
    assert.deepEqual(stepsOf(events), [0, 1, 2, 3, 4]);
    const { rounds } = JSON.parse(await readText(asked.folder("runs/ember"), "samples.json"));
    assert.deepEqual(rounds.map(({ step }: { step: number }) => step), [0, 1, 2, 3, 4]);
    assert.deepEqual((await left(asked, 4)).moments, (await left(plain, 4)).moments);
  },
);

onGpu(
  "answers asked for while training show what is shown and change no bit of it: adapter, moments, losses",
  async () => {
    const rows = Array.from({ length: 10 }, (_, i) =>
      `${
        JSON.stringify({
          messages: [{ role: "user", content: `${i}?` }, { role: "assistant", content: "ab" }],
        })
      }\n`).join("");
    const wire = {
      ...WIRE,
      ...{
        max_steps: 6,
        logging_steps: 1,
        train_test_split: 0.3,
        num_generation_samples: 1,
        exact_match: true,
      },
    };
    const [plain, asked] = [await jobDisk({}, rows), await jobDisk({}, rows)];
    const quiet = await runOn(plain, wire);
    const events: TrainingEvent[] = [], presses = [false, true, false, true, true];
    const answersNow = () => presses.shift()!;
    for await (const event of jobOn(asked, wire, { answersNow }).run()) events.push(event);
    const roundsOf = (all: readonly TrainingEvent[]) =>
      all.flatMap((event) =>
        event.type === "sampled" ? [[event.step, event.samples.length, event.rows]] : []
      );
    assert.deepEqual(roundsOf(quiet), [[0, 1, 3], [6, 1, 3]]);
    assert.deepEqual(roundsOf(events), [[0, 1, 3], [2, 1, 1], [4, 1, 1], [5, 1, 1], [6, 1, 3]]);
    assert.deepEqual(presses, [], "the last step is not asked after");
    assert.deepEqual((await left(asked, 6)).moments, (await left(plain, 6)).moments);
    const saved = (root: MemoryFolder) =>
      bytes(root.folder("runs/ember/adapter"), "adapter_model.safetensors");
    assert.deepEqual(await saved(asked), await saved(plain));
    const told = (all: readonly TrainingEvent[]) =>
      all.flatMap((event) =>
        event.type === "step"
          ? [[event.step, event.loss, event.gradNorm, event.tokenAccuracy]]
          : event.type === "evaluated"
          ? [[event.step, event.evalLoss]]
          : []
      );
    assert.deepEqual(told(events), told(quiet));
  },
);

onGpu(
  "checkpoints and rounds of answers come after shares of all steps, and files tell how many",
  async () => {
    const root = await jobDisk();
    const shares = { save_steps: 0.3, logging_steps: 0.5, eval_steps: 0.25, save_total_limit: 10 };
    const events = await runOn(root, { ...WIRE, ...shares });
    assert.deepEqual(stepOf(events, "checkpointed"), [3, 6, 8]);
    const { save_steps, logging_steps, eval_steps } = JSON.parse(
      await readText(root.folder("runs/ember"), "trainer_state.json"),
    );
    assert.deepEqual([save_steps, logging_steps, eval_steps], [3, 4, 2]);
  },
);
