import assert from "node:assert/strict";
import { chooseVariants } from "../../src/nn/variants.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { examples, fixture, flat, LORA, MAX_ROWS, onModel, train } from "../helpers/trained_model.ts";

onModel(
  "accumulate() drops inputs of updates, the same however a step is split and with blocks computed again",
  async (model) => {
    const { gpu, pipelines } = model.resources;
    const base = await fixture!.manager.open("tiny");
    const of = (useDora: boolean, recompute: number) =>
      fixture!.manager.plan(base, { ...LORA, dropout: 0.3, useDora }, {
        gpu,
        pipelines,
        variants: chooseVariants(gpu),
        limits: { rows: MAX_ROWS, length: 16, recompute },
        seed: 3,
      });
    for (const useDora of [false, true]) {
      const models = [of(useDora, 0), of(useDora, 1), of(useDora, 2)] as const;
      try {
        for (const each of models) {
          each.allocate();
          await each.decoder.load(base.weights);
        }
        const rows = examples(4);
        const whole = { batch_size: 4, max_steps: 3, learning_rate: 1e-2, logging_steps: 1 };
        const split = { ...whole, batch_size: 1, gradient_accumulation_steps: 4 };
        const data = { train: rows, eval: rows };
        const plain = await train(model, whole, data);
        const once = await train(models[0], whole, data), parts = await train(models[0], split, data);
        // B is zero at first: the first loss is the base's whatever is dropped, and evaluation drops nothing
        assertClose([once.steps[0]!.loss], [plain.steps[0]!.loss], tensor("f32"));
        assertClose([once.evaluations[0]!.evalLoss], [plain.evaluations[0]!.evalLoss], tensor("f32"));
        assert.ok(Math.abs(once.steps[2]!.loss - plain.steps[2]!.loss) > 1e-4);
        assertClose(parts.steps.map(({ loss }) => loss), once.steps.map(({ loss }) => loss), tensor("f32"));
        for (const recomputing of models) {
          const again = await train(recomputing, whole, data);
          assertClose(flat(again.parameters), flat(once.parameters), exact());
        }
      } finally {
        for (const each of models) each.destroy();
      }
    }
  },
);
