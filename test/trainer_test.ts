import assert from "node:assert/strict";
import { parseFineTuneJobConfig, type TrainingConfig } from "../src/config.ts";
import type { TokenizedExample } from "../src/data/example.ts";
import { DivergedError } from "../src/errors.ts";
import type { OpenDevice } from "../src/fine_tune_job.ts";
import type { TrainingEvent } from "../src/job.ts";
import { ModelManager } from "../src/model_manager.ts";
import type { TrainableModel } from "../src/models/trainable_model.ts";
import { chooseVariants } from "../src/nn/variants.ts";
import { initialLoraA } from "../src/optim/init.ts";
import { MemoryFolder } from "../src/storage/memory.ts";
import { ModelTrainer, type TrainerData } from "../src/trainer.ts";
import { assertClose, exact, tensor } from "./helpers/close.ts";
import { device, onGpu } from "./helpers/device.ts";
import { TINY_CONFIG, writeTinyModel } from "./helpers/tiny_model.ts";

type StepEvent = Extract<TrainingEvent, { type: "step" }>;
type EvalEvent = Extract<TrainingEvent, { type: "evaluated" }>;

const MAX_ROWS = 4;
const LORA = { rank: 8, alpha: 16, targetModules: "all-linear" } as const;

/** One model for the whole file: parameters are set anew for each run. */
const fixture = device && await open(device);

async function open(
  { gpu, pipelines }: OpenDevice,
): Promise<{ model: TrainableModel; manager: ModelManager }> {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder);
  const manager = new ModelManager(() => folder);
  const base = await manager.open("tiny");
  const limits = { rows: MAX_ROWS, length: 16 };
  const model = manager.plan(base, LORA, { gpu, pipelines, variants: chooseVariants(gpu), limits });
  model.allocate();
  await model.decoder.load(base.weights);
  return { model, manager };
}

function onModel(name: string, test: (model: TrainableModel) => Promise<void>): void {
  onGpu(name, () => test(fixture!.model));
}

/** Rows of 3 to 12 tokens; the first `untrained` of each have no label. */
function examples(count: number, untrained = 1): TokenizedExample[] {
  return Array.from({ length: count }, (_, row) => {
    const inputIds = Int32Array.from(
      { length: 3 + (row * 5) % 10 },
      (_, t) => (row * 37 + t * t * 11 + 5) % TINY_CONFIG.vocab_size,
    );
    return { inputIds, labels: inputIds.map((id, t) => t < untrained ? -100 : id) };
  });
}

function settings(wire: Record<string, unknown>): TrainingConfig {
  return parseFineTuneJobConfig({
    base_model: "tiny",
    output_model_name: "run",
    training_data_path: "train.jsonl",
    lr_scheduler_type: "constant",
    eval_batch_size: MAX_ROWS,
    ...wire,
  }).training;
}

interface Run {
  readonly events: readonly TrainingEvent[];
  readonly steps: readonly StepEvent[];
  readonly evaluations: readonly EvalEvent[];
  readonly parameters: ReadonlyMap<string, Float32Array>;
}

function reset(model: TrainableModel, seed: number): void {
  fixture!.manager.initialise(model, { kind: "seed", seed });
  const { device } = model.resources.gpu;
  device.queue.writeBuffer(model.sinks.flags.buffer!, 0, Uint32Array.of(0));
}

/** Trains from the start values of the configuration's seed. */
async function train(
  model: TrainableModel,
  wire: Record<string, unknown>,
  data: Partial<TrainerData> = {},
  now?: () => number,
): Promise<Run> {
  const config = settings(wire);
  reset(model, config.seed);
  const trainer = new ModelTrainer(model, { train: examples(8), eval: [], padId: 0, ...data }, config, now);
  const events = await Array.fromAsync(trainer.train(new AbortController().signal));
  return {
    events,
    steps: events.filter((event) => event.type === "step"),
    evaluations: events.filter((event) => event.type === "evaluated"),
    parameters: await model.pool.read(),
  };
}

const flat = (parameters: ReadonlyMap<string, Float32Array>) =>
  Float32Array.from([...parameters.values()].flatMap((values) => [...values]));

onModel("train() takes the same step however its rows are split into micro-batches", async (model) => {
  const runs: Run[] = [];
  for (const [batch, passes] of [[4, 1], [2, 2], [1, 4]]) {
    runs.push(
      await train(model, {
        batch_size: batch,
        gradient_accumulation_steps: passes,
        max_steps: 3,
        learning_rate: 1e-3,
      }),
    );
  }
  const [whole, ...split] = runs as [Run, Run, Run];
  for (const run of split) {
    assertClose(run.steps.map(({ loss }) => loss), whole.steps.map(({ loss }) => loss), tensor("f32"));
    assertClose(
      run.steps.map((step) => step.gradNorm),
      whole.steps.map((step) => step.gradNorm),
      tensor("f32"),
    );
    assert.deepEqual(
      run.steps.map((step) => step.trainedTokens),
      whole.steps.map((step) => step.trainedTokens),
    );
    assertClose(flat(run.parameters), flat(whole.parameters), tensor("f32"));
  }
});

onModel(
  "train() weighs tokens, not rows: two ragged rows give the loss of their tokens together",
  async (model) => {
    const [short, , , long] = examples(4) as [
      TokenizedExample,
      TokenizedExample,
      TokenizedExample,
      TokenizedExample,
    ];
    const lossOf = async (train_: TokenizedExample[]) =>
      (await train(model, { batch_size: 2, max_steps: 1, learning_rate: 0 }, { train: train_ })).steps[0]!;
    const [a, b, both] = [await lossOf([short]), await lossOf([long]), await lossOf([short, long])];
    assert.notEqual(a.trainedTokens, b.trainedTokens);
    const sum = a.loss * a.trainedTokens + b.loss * b.trainedTokens;
    assertClose([both.loss], [sum / (a.trainedTokens + b.trainedTokens)], tensor("f32"));
  },
);

onModel("train() with learning rate 0 leaves A as drawn and B zero, bit for bit", async (model) => {
  const { parameters } = await train(model, {
    learning_rate: 0,
    max_steps: 4,
    batch_size: 4,
    weight_decay: 0.1,
    seed: 5,
  });
  assert.equal(parameters.size, 2 * 7 * TINY_CONFIG.num_hidden_layers);
  for (const [name, values] of parameters) {
    const want = name.includes(".lora_A.")
      ? initialLoraA(name, LORA.rank, values.length / LORA.rank, 5)
      : new Float32Array(values.length);
    assertClose(values, want, exact());
  }
});

onModel("train() gives the same bits for the same seed and others for another", async (model) => {
  const run = async (seed: number) =>
    flat((await train(model, { max_steps: 5, batch_size: 3, seed, learning_rate: 1e-2 })).parameters);
  const first = await run(1);
  assertClose(await run(1), first, exact());
  assert.notDeepEqual(await run(2), first);
});

onModel("evaluate() does not depend on the batch size", async (model) => {
  reset(model, 1);
  const rows = examples(7, 2);
  const results = [];
  for (const evalBatchSize of [1, 2, 4]) {
    const config = settings({ eval_batch_size: evalBatchSize });
    results.push(await new ModelTrainer(model, { train: rows, eval: rows, padId: 3 }, config).evaluate(rows));
  }
  const [one, ...others] = results;
  const tokens = rows.reduce((sum, { inputIds }) => sum + inputIds.length - 2, 0);
  for (const { loss, tokens: counted } of [one!, ...others]) {
    assert.equal(counted, tokens);
    assertClose([loss], [one!.loss], tensor("f32"));
  }
});

onModel("train() counts steps, epochs, tokens and learning rates as transformers does", async (model) => {
  // 5 rows in batches of 2 are 3 micro-batches, in steps of 2: 2 and 1
  const rows = examples(5);
  const { steps } = await train(model, {
    batch_size: 2,
    gradient_accumulation_steps: 2,
    num_train_epochs: 1.5,
    learning_rate: 0.01,
    lr_scheduler_type: "linear",
    warmup_steps: 1,
  }, { train: rows });
  assert.deepEqual(steps.map(({ step, totalSteps }) => [step, totalSteps]), [[1, 3], [2, 3], [3, 3]]);
  assert.deepEqual(steps.map(({ epoch }) => epoch), [2 / 3, 1, 1 + 2 / 3]);
  assert.deepEqual(steps.map(({ learningRate }) => learningRate), [0, 0.01, 0.005]);
  const all = rows.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  assert.equal(steps[1]!.tokens, all);
  assert.equal(steps[0]!.trainedTokens + steps[1]!.trainedTokens, all - rows.length);
  assert.ok(steps[0]!.tokens < all && steps[2]!.tokens > all);
});

onModel("train() goes on over the end of the data until max_steps", async (model) => {
  const { steps } = await train(model, { batch_size: 4, max_steps: 5 });
  assert.deepEqual(steps.map(({ step, epoch }) => [step, epoch]), [[1, 0.5], [2, 1], [3, 1.5], [4, 2], [
    5,
    2.5,
  ]]);
});

onModel(
  "train() reports every loggingSteps the mean over all tokens since the last report",
  async (model) => {
    const wire = { batch_size: 2, max_steps: 5, learning_rate: 1e-3 };
    let clock = 0;
    const every = await train(model, wire);
    const third = await train(model, { ...wire, logging_steps: 3 }, {}, () => clock += 1000);
    assert.deepEqual(third.steps.map(({ step }) => step), [3, 5]);
    for (const [i, [from, to]] of [[0, 3], [3, 5]].entries()) {
      const part = every.steps.slice(from, to);
      const trained = part.reduce((sum, { trainedTokens }) => sum + trainedTokens, 0);
      const summed = part.reduce((sum, { loss, trainedTokens }) => sum + loss * trainedTokens, 0);
      const { loss, trainedTokens, tokens, gradNorm } = third.steps[i]!;
      assert.equal(trainedTokens, trained);
      assertClose([loss], [summed / trained], tensor("f32"));
      assert.deepEqual([tokens, gradNorm], [part.at(-1)!.tokens, part.at(-1)!.gradNorm]);
    }
    // the clock moves one second at each look, and a window is looked at twice
    assert.equal(third.steps[0]!.tokensPerSecond, third.steps[0]!.tokens);
    assert.equal(third.steps[0]!.etaSeconds, 2 / 3);
  },
);

onModel(
  "train() evaluates before the first step, every evalSteps and at the end, without touching the run",
  async (model) => {
    const wire = { batch_size: 2, max_steps: 5, learning_rate: 1e-2 };
    const held = examples(3, 2);
    const plain = await train(model, wire);
    const { events, steps, evaluations, parameters } = await train(model, { ...wire, eval_steps: 2 }, {
      eval: held,
    });
    const order = events.map((event) => "step" in event ? `${event.type} ${event.step}` : event.type);
    assert.deepEqual(order, [
      "evaluated 0",
      "step 1",
      "step 2",
      "evaluated 2",
      "step 3",
      "step 4",
      "evaluated 4",
      "step 5",
      "evaluated 5",
    ]);
    assert.deepEqual(evaluations.map(({ epoch }) => epoch), [0, 0.5, 1, 1.25]);
    assert.ok(evaluations.every(({ evalTokens }) => evalTokens === evaluations[0]!.evalTokens));
    assert.deepEqual(steps.map(({ loss }) => loss), plain.steps.map(({ loss }) => loss));
    assertClose(flat(parameters), flat(plain.parameters), exact());
  },
);

onModel("train() overfits 8 rows below 0.05 nats in 50 steps", async (model) => {
  const rows = examples(8);
  const { steps } = await train(model, { batch_size: 4, max_steps: 50, learning_rate: 0.01 }, {
    train: rows,
  });
  assert.ok(steps[0]!.loss > 5, `it starts at ${steps[0]!.loss}`);
  const last = Math.max(...steps.slice(-2).map(({ loss }) => loss));
  assert.ok(last < 0.05, `the last epoch's loss is ${last}`);
});

onModel(
  "train() stops between micro-batches when the signal is aborted, with the signal's reason",
  async (model) => {
    const config = settings({
      batch_size: 1,
      gradient_accumulation_steps: 4,
      max_steps: 3,
      learning_rate: 0.01,
    });
    reset(model, config.seed);
    const before = await model.pool.read();
    const controller = new AbortController();
    const reason = new Error("enough");
    const accumulate = model.accumulate.bind(model);
    let passes = 0;
    model.accumulate = (...batch) => {
      if (++passes === 2) controller.abort(reason);
      return accumulate(...batch);
    };
    try {
      const trainer = new ModelTrainer(model, { train: examples(8), eval: [], padId: 0 }, config);
      await assert.rejects(Array.fromAsync(trainer.train(controller.signal)), reason);
    } finally {
      model.accumulate = accumulate;
    }
    assert.equal(passes, 2);
    assert.deepEqual(await model.pool.read(), before);
  },
);

for (const value of [NaN, Infinity, -Infinity]) {
  onModel(`train() ends in DivergedError and keeps the parameters once one is ${value}`, async (model) => {
    const config = settings({ batch_size: 4, max_steps: 5, learning_rate: 0.01 });
    reset(model, config.seed);
    const trainer = new ModelTrainer(model, { train: examples(8), eval: [], padId: 0 }, config);
    const damaged = model.pool.parameters.find(({ name }) => name.includes("layers.1.mlp.down_proj.lora_B"))!;
    let before: ReadonlyMap<string, Float32Array> | null = null;
    await assert.rejects(async () => {
      for await (const event of trainer.train(new AbortController().signal)) {
        if (event.type !== "step" || event.step !== 2) continue;
        const values = (await model.pool.read()).get(damaged.name)!;
        values[3] = value;
        model.pool.write(damaged, values);
        before = await model.pool.read();
      }
    }, (error: Error) => {
      assert.ok(error instanceof DivergedError);
      assert.equal(error.step, 3);
      assert.match(
        error.message,
        /not a finite number at step 3 \(learning rate 0\.0100\): lower learning_rate/,
      );
      return true;
    });
    assert.deepEqual(await model.pool.read(), before);
  });
}

onModel(
  "train() names the steps between two reports, and the step before an evaluation, that diverged",
  async (model) => {
    const run = async (wire: Record<string, unknown>, held: TokenizedExample[], onStep: number) => {
      const config = settings({ batch_size: 4, learning_rate: 0.01, ...wire });
      reset(model, config.seed);
      const trainer = new ModelTrainer(model, { train: examples(8), eval: held, padId: 0 }, config);
      for await (const event of trainer.train(new AbortController().signal)) {
        if (event.type !== "step" || event.step !== onStep) continue;
        const parameter = model.pool.parameters[0]!;
        model.pool.write(parameter, new Float32Array(parameter.value.bytes / 4).fill(NaN));
      }
    };
    await assert.rejects(run({ max_steps: 6, logging_steps: 3 }, [], 3), {
      name: "DivergedError",
      message: /between steps 4 and 6/,
    });
    await assert.rejects(run({ max_steps: 2 }, examples(1), 2), {
      name: "DivergedError",
      step: 2,
      message: /evaluation loss after step 2 is not a finite number/,
    });
  },
);

onModel(
  "train() keeps the loss of steps before an evaluation that comes between two reports",
  async (model) => {
    const wire = { batch_size: 2, max_steps: 3, learning_rate: 1e-3, logging_steps: 3 };
    const plain = await train(model, wire);
    const between = await train(model, { ...wire, eval_steps: 2 }, { eval: examples(3, 2) });
    assert.deepEqual(between.evaluations.map(({ step }) => step), [0, 2, 3]);
    assertClose(between.steps.map(({ loss }) => loss), plain.steps.map(({ loss }) => loss), tensor("f32"));
  },
);

onModel("evaluate() counts the tokens to which the model gave the largest logit", async (model) => {
  reset(model, 1);
  const rows = examples(5, 2);
  const config = settings({});
  const { accuracy } = await new ModelTrainer(model, { train: rows, eval: rows, padId: 0 }, config).evaluate(
    rows,
  );
  let right = 0, all = 0;
  for (const { inputIds, labels } of rows) {
    const length = 16, ids = new Uint32Array(length), vocab = TINY_CONFIG.vocab_size;
    ids.set(inputIds);
    const lengths = Uint32Array.of(inputIds.length);
    const logits = await model.logits({
      rows: 1,
      length,
      inputIds: ids,
      targets: new Int32Array(length),
      lengths,
    });
    for (let t = 0; t + 1 < labels.length; t++) {
      if (labels[t + 1]! < 0) continue;
      const row = logits.subarray(t * vocab, (t + 1) * vocab);
      all++;
      if (row.every((logit) => logit <= row[labels[t + 1]!]!)) right++;
    }
  }
  assert.equal(accuracy, right / all);
});

onModel("train() tells the share of right tokens, which is all of them once it overfits", async (model) => {
  const wire = { batch_size: 4, max_steps: 40, learning_rate: 0.01, logging_steps: 20, eval_strategy: "no" };
  const { steps, evaluations } = await train(model, wire, { eval: examples(8) });
  assert.ok(steps[0]!.tokenAccuracy! > 0 && steps[0]!.tokenAccuracy! < steps[1]!.tokenAccuracy!);
  assert.ok(evaluations[0]!.evalTokenAccuracy! < 0.2 && evaluations[1]!.evalTokenAccuracy! === 1);
  assert.deepEqual(evaluations.map(({ step }) => step), [0, 40]);
});

onModel("train() evaluates after every epoch where eval_strategy says so", async (model) => {
  // 8 rows in steps of 3: epochs end after steps 3 and 6
  const wire = { batch_size: 3, max_steps: 7, eval_strategy: "epoch", learning_rate: 0 };
  const { evaluations } = await train(model, wire, { eval: examples(2) });
  assert.deepEqual(evaluations.map(({ step, epoch }) => [step, epoch]), [[0, 0], [3, 1], [6, 2], [7, 7 / 3]]);
});

onModel(
  "train() stops early once evaluations no longer improve, with a report of the steps so far",
  async (model) => {
    const wire = {
      batch_size: 4,
      max_steps: 20,
      learning_rate: 0,
      eval_steps: 2,
      logging_steps: 5,
      early_stopping_patience: 3,
    };
    const { steps, evaluations, events } = await train(model, wire, { eval: examples(2) });
    assert.deepEqual(evaluations.map(({ step }) => step), [0, 2, 4, 6, 8]);
    assert.deepEqual(steps.map(({ step }) => step), [5, 8]);
    const [reason] = events.flatMap((event) => (event.type === "phase" ? [event.message] : []));
    assert.match(
      reason!,
      /^stopping early: eval_loss has not improved in 3 evaluations, the best was .* after step 2$/,
    );
  },
);

onModel("train() lowers a rate that follows evaluations", async (model) => {
  const wire = {
    batch_size: 4,
    max_steps: 5,
    learning_rate: 1e-3,
    eval_steps: 1,
    lr_scheduler_type: "reduce_lr_on_plateau",
    lr_scheduler_kwargs: { patience: 0, factor: 0.5, mode: "max" },
  };
  const { steps, evaluations } = await train(model, wire, { eval: examples(8) });
  assert.ok(evaluations.every(({ evalLoss }, i) => i < 2 || evalLoss < evaluations[i - 1]!.evalLoss));
  assert.deepEqual(steps.map(({ learningRate }) => learningRate), [1e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4]);
});

onModel("train() fails once the loss has exploded, though every number is finite", async (model) => {
  const wire = { batch_size: 4, max_steps: 5, learning_rate: 0, loss_watchdog_threshold: 1 };
  await assert.rejects(train(model, wire), {
    name: "DivergedError",
    step: 3,
    message: /has exploded at step 3/,
  });
});

onModel(
  "accumulate() adds NEFTune's noise to what it trains on, the same however a step is split",
  async (model) => {
    const { gpu, pipelines } = model.resources;
    const base = await fixture!.manager.open("tiny");
    const of = (alpha: number) =>
      fixture!.manager.plan(base, LORA, {
        gpu,
        pipelines,
        variants: chooseVariants(gpu),
        limits: { rows: MAX_ROWS, length: 16 },
        neftune: { alpha, seed: 3 },
      });
    const [noisy, noisier] = [of(5), of(50)];
    try {
      for (const each of [noisy, noisier]) {
        each.allocate();
        await each.decoder.load(base.weights);
      }
      const rows = examples(4);
      const whole = { batch_size: 4, max_steps: 2, learning_rate: 1e-3, logging_steps: 1 };
      const split = { ...whole, batch_size: 1, gradient_accumulation_steps: 4 };
      const data = { train: rows, eval: rows };
      const [plain, once, parts, more] = [
        await train(model, whole, data),
        await train(noisy!, whole, data),
        await train(noisy!, split, data),
        await train(noisier!, whole, data),
      ];
      assert.equal(once.evaluations[0]!.evalLoss, plain.evaluations[0]!.evalLoss);
      assertClose(parts.steps.map(({ loss }) => loss), once.steps.map(({ loss }) => loss), tensor("f32"));
      const shift = (run: Run) => Math.abs(run.steps[0]!.loss - plain.steps[0]!.loss);
      assert.ok(shift(once) > 1e-4 && shift(more) > shift(once), `${shift(once)}, ${shift(more)}`);
      const again = await train(noisy!, whole, data);
      assertClose(flat(again.parameters), flat(once.parameters), exact());
    } finally {
      noisy!.destroy();
      noisier!.destroy();
    }
  },
);
