import assert from "node:assert/strict";
import type { TokenizedExample } from "../src/data/example.ts";
import { initialLoraA } from "../src/optim/init.ts";
import { ModelTrainer } from "../src/trainer.ts";
import { assertClose, exact, tensor } from "./helpers/close.ts";
import { TINY_CONFIG } from "./helpers/tiny_model.ts";
import { examples, flat, LORA, onModel, reset, type Run, settings, train } from "./helpers/trained_model.ts";

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
      ? initialLoraA({ init: true, name, seed: 5 }, LORA.rank, values.length / LORA.rank)
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
    await reset(model, config.seed);
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

onModel("train() reports and evaluates after shares of all steps, rounded up", async (model) => {
  const wire = { batch_size: 2, max_steps: 7, learning_rate: 0, eval_steps: 0.4, logging_steps: 0.25 };
  const { steps, evaluations } = await train(model, wire, { eval: examples(2) });
  assert.deepEqual(steps.map(({ step }) => step), [2, 4, 6, 7]); // 1.75 steps are 2
  assert.deepEqual(evaluations.map(({ step }) => step), [0, 3, 6, 7]); // 2.8 are 3
});
