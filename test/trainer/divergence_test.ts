import assert from "node:assert/strict";
import type { TokenizedExample } from "../../src/data/example.ts";
import { DivergedError } from "../../src/errors.ts";
import { ModelTrainer } from "../../src/trainer.ts";
import { examples, onModel, reset, settings, train } from "../helpers/trained_model.ts";

for (const value of [NaN, Infinity, -Infinity]) {
  onModel(`train() ends in DivergedError and keeps the parameters once one is ${value}`, async (model) => {
    const config = settings({ batch_size: 4, max_steps: 5, learning_rate: 0.01 });
    await reset(model, config.seed);
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
      await reset(model, config.seed);
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

onModel("train() fails once the loss has exploded, though every number is finite", async (model) => {
  const wire = { batch_size: 4, max_steps: 5, learning_rate: 0, loss_watchdog_threshold: 1 };
  await assert.rejects(train(model, wire), {
    name: "DivergedError",
    step: 3,
    message: /has exploded at step 3/,
  });
});
