import assert from "node:assert/strict";
import { parseFineTuneJobConfig } from "../../src/config.ts";
import { bucketLength, collate, collatePacked } from "../../src/data/collate.ts";
import type { TokenizedExample } from "../../src/data/example.ts";
import { IGNORE_INDEX } from "../../src/data/mask.ts";
import { packRows } from "../../src/data/pack.ts";
import { rowLengths } from "../../src/data/token_rows.ts";
import { ModelManager } from "../../src/model_manager.ts";
import { type ModelBatch, TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { MemoryFolder } from "../../src/storage/memory.ts";
import {
  batchLimits,
  countSteps,
  evalPacksOf,
  ModelTrainer,
  packsOf,
  typicalTokens,
} from "../../src/trainer.ts";
import { onGpu } from "../helpers/device.ts";
import { beforeCalls } from "../helpers/lost_devices.ts";
import { TINY_CONFIG, writeTinyModel } from "../helpers/tiny_model.ts";

const MAX_LENGTH = 32;
/** Sums of the same terms in another order, in f32. */
const TOLERANCE = 1e-5;

/** Nine rows of 3 to 13 tokens; the first two tokens of each are not trained. */
const TRAIN: readonly TokenizedExample[] = Array.from({ length: 9 }, (_, row) => {
  const inputIds = Int32Array.from(
    { length: 3 + (row * 5) % 11 },
    (_, t) => (row * 37 + t * t * 11 + 5) % TINY_CONFIG.vocab_size,
  );
  return { inputIds, labels: inputIds.map((id, t) => t < 2 ? IGNORE_INDEX : id) };
});

function settings(wire: Record<string, unknown>) {
  return parseFineTuneJobConfig({
    base_model: "tiny",
    output_model_name: "run",
    training_data_path: "train.jsonl",
    max_length: MAX_LENGTH,
    max_steps: 1,
    ...wire,
  }).training;
}

function close(got: number, want: number): boolean {
  return Math.abs(got - want) <= TOLERANCE * Math.abs(want);
}

Deno.test("packing takes fewer rows, which steps, limits and typical sizes are counted by", () => {
  const packed = settings({ packing: true, batch_size: 2, max_steps: -1, num_train_epochs: 1 });
  const packs = packsOf(TRAIN, packed)!;
  assert.deepEqual(packs.map((rows) => rows.reduce((sum, row) => sum + TRAIN[row]!.inputIds.length, 0)), [
    32,
    32,
    11,
  ]);
  assert.equal(packsOf(TRAIN, settings({ packing: false })), null);
  const data = { train: TRAIN, eval: [], padId: 0, packs };
  assert.deepEqual(countSteps(data, packed), { stepsPerEpoch: 2, totalSteps: 2, totalEpochs: 1 });
  assert.equal(batchLimits(data, packed).length, bucketLength(32));
  assert.equal(batchLimits({ ...data, packs: null }, packed).length, bucketLength(13));
  assert.equal(typicalTokens(data, packed), 2 * bucketLength(32));
});

Deno.test("rows of evaluations are packed as those of training unless eval_packing says otherwise", () => {
  const packsWith = (wire: Record<string, unknown>) => evalPacksOf(TRAIN, settings(wire));
  const packs = packRows(rowLengths(TRAIN), MAX_LENGTH);
  assert.deepEqual(packsWith({ packing: true }), packs);
  assert.deepEqual(packsWith({ eval_packing: true }), packs);
  assert.equal(packsWith({}), null);
  assert.equal(packsWith({ packing: true, eval_packing: false }), null);
  const held = { train: TRAIN.slice(0, 1), eval: TRAIN, padId: 0, evalPacks: packs };
  assert.equal(batchLimits(held, settings({})).length, bucketLength(32));
});

onGpu(
  "packed evaluations take fewer rows and find the same loss and accuracy",
  async ({ gpu, pipelines }) => {
    const folder = new MemoryFolder("tiny");
    await writeTinyModel(folder);
    const manager = new ModelManager(() => folder);
    const base = await manager.open("tiny");
    const limits = { rows: 2, length: bucketLength(MAX_LENGTH) };
    const lora = { rank: 4, alpha: 8, targetModules: "all-linear" } as const;
    const model = manager.plan(base, lora, { gpu, pipelines, variants: chooseVariants(gpu), limits });
    try {
      model.allocate();
      await model.decoder.load(base.weights);
      await manager.initialise(model, { kind: "seed", seed: 1 });
      const evaluated = async (packing: boolean) => {
        const config = settings({
          learning_rate: 0,
          batch_size: 2,
          eval_batch_size: 2,
          eval_packing: packing,
        });
        const data = { train: TRAIN, eval: TRAIN, padId: 0, evalPacks: evalPacksOf(TRAIN, config) };
        const watched = beforeCalls(TrainableModel.prototype, "evaluate", () => {});
        try {
          const events = new ModelTrainer(model, data, config).train(new AbortController().signal);
          for await (const event of events) {
            if (event.type === "evaluated") return { event, batches: watched.calls };
          }
          throw new Error("no evaluation");
        } finally {
          watched.undo();
        }
      };
      const [alone, together] = [await evaluated(false), await evaluated(true)];
      assert.deepEqual([alone.batches, together.batches], [5, 2]);
      assert.ok(close(together.event.evalLoss, alone.event.evalLoss));
      assert.equal(together.event.evalTokens, alone.event.evalTokens);
      assert.equal(together.event.evalTokenAccuracy, alone.event.evalTokenAccuracy);
    } finally {
      model.destroy();
      await base.weights.close();
    }
  },
);

onGpu("packed rows give the loss and every gradient of rows of their own", async ({ gpu, pipelines }) => {
  const folder = new MemoryFolder("tiny");
  await writeTinyModel(folder);
  const manager = new ModelManager(() => folder);
  const base = await manager.open("tiny");
  const limits = { rows: TRAIN.length, length: bucketLength(MAX_LENGTH) };
  const lora = { rank: 4, alpha: 8, targetModules: "all-linear" } as const;
  const model = manager.plan(base, lora, { gpu, pipelines, variants: chooseVariants(gpu), limits });
  try {
    model.allocate();
    await model.decoder.load(base.weights);
    await manager.initialise(model, { kind: "seed", seed: 1 });
    for (const parameter of model.pool.parameters) { // with B at zero, A would get no gradient
      const values = (await model.pool.read()).get(parameter.name)!;
      model.pool.write(parameter, values.map((value, i) => value + Math.sin(i + 1) / 20));
    }
    const gradients = async (batch: ModelBatch & { readonly trainedTokens: number }) => {
      model.clearGradients();
      model.clearTotals();
      await model.accumulate(batch, 1 / batch.trainedTokens);
      const { summedLoss } = await model.totals();
      return { loss: summedLoss / batch.trainedTokens, grads: await model.pool.read("grads") };
    };
    const packs = packsOf(TRAIN, settings({ packing: true }))!;
    const shape = { rows: TRAIN.length, length: bucketLength(13), padId: 0 };
    const alone = await gradients(collate(TRAIN, shape));
    const together = await gradients(
      collatePacked(packs.map((rows) => rows.map((row) => TRAIN[row]!)), {
        rows: packs.length,
        length: bucketLength(MAX_LENGTH),
        padId: 0,
      }),
    );
    assert.ok(close(together.loss, alone.loss), `${together.loss} against ${alone.loss}`);
    for (const [name, want] of alone.grads) {
      const got = together.grads.get(name)!;
      const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      assert.ok(scale > 1e-6, `${name} has no gradient`);
      const worst = want.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]!)), 0);
      assert.ok(worst <= TOLERANCE * scale, `${name}: off by ${worst / scale} of its largest`);
    }

    const step = async (packing: boolean) => {
      await manager.initialise(model, { kind: "seed", seed: 1 });
      const config = settings({ packing, batch_size: packing ? packs.length : TRAIN.length });
      const data = { train: TRAIN, eval: [], padId: 0, packs: packsOf(TRAIN, config) };
      const events = await Array.fromAsync(
        new ModelTrainer(model, data, config).train(new AbortController().signal),
      );
      return events.find((event) => event.type === "step")!;
    };
    const [one, other] = [await step(true), await step(false)];
    assert.ok(close(one.loss, other.loss) && close(one.gradNorm, other.gradNorm));
    assert.deepEqual([one.trainedTokens, one.tokens], [other.trainedTokens, other.tokens]);
  } finally {
    model.destroy();
    await base.weights.close();
  }
});
