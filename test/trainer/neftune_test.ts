import assert from "node:assert/strict";
import { chooseVariants } from "../../src/nn/variants.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import {
  examples,
  fixture,
  flat,
  LORA,
  MAX_ROWS,
  onModel,
  type Run,
  train,
} from "../helpers/trained_model.ts";

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
        neftuneAlpha: alpha,
        seed: 3,
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
