import assert from "node:assert/strict";
import { ModelTrainer } from "../../src/trainer.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { TINY_CONFIG } from "../helpers/tiny_model.ts";
import { examples, flat, onModel, reset, settings, train } from "../helpers/trained_model.ts";

onModel("evaluate() does not depend on the batch size", async (model) => {
  await reset(model, 1);
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
  await reset(model, 1);
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
