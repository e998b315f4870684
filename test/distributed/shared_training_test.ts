/**
 * Ranks in one process, each with a tiny model of its own on the same adapter.
 */
import assert from "node:assert/strict";
import type { TrainingConfig } from "../../src/config.ts";
import type { Communicator } from "../../src/distributed/communicator.ts";
import { memoryRanks } from "../../src/distributed/memory.ts";
import type { TrainingEvent } from "../../src/job.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import { ModelTrainer } from "../../src/trainer.ts";
import { assertClose, exact, tensor } from "../helpers/close.ts";
import { device, onGpu } from "../helpers/device.ts";
import { examples, flat, openModel, settings } from "../helpers/trained_model.ts";

const DATA = { train: examples(11), eval: examples(7), padId: 0 };
const WIRE = {
  ...{ batch_size: 2, eval_batch_size: 2, max_steps: 5, learning_rate: 1e-2 },
  ...{ eval_steps: 3, logging_steps: 2 }, // sums over several steps, broken off by an evaluation
};

const configOf = (passes: number, wire: Record<string, unknown> = {}) =>
  settings({ ...WIRE, gradient_accumulation_steps: passes, ...wire });

interface SharedRun {
  readonly events: readonly TrainingEvent[];
  readonly parameters: Float32Array;
}

async function withModels<T>(count: number, work: (models: TrainableModel[]) => Promise<T>): Promise<T> {
  const models: TrainableModel[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const { model, manager } = await openModel(device!);
      models.push(model);
      await manager.initialise(model, { kind: "seed", seed: 1 });
    }
    return await work(models);
  } finally {
    for (const model of models) model.destroy();
  }
}

async function trainOn(
  model: TrainableModel,
  config: TrainingConfig,
  ranks?: Communicator,
  signal = new AbortController().signal,
): Promise<SharedRun> {
  const trainer = new ModelTrainer(model, DATA, config, () => 0, ranks);
  const events = await Array.fromAsync(trainer.train(signal));
  return { events, parameters: flat(await model.pool.read()) };
}

const alone = (passes: number, wire = {}) =>
  withModels(1, ([model]) => trainOn(model!, configOf(passes, wire)));

const together = (size: number, passes: number, wire = {}) =>
  withModels(
    size,
    (models) =>
      Promise.all(memoryRanks(size).map((own, rank) => trainOn(models[rank]!, configOf(passes, wire), own))),
  );

/** A report without what depends on the clock. */
const steady = (event: TrainingEvent) => ({ ...event, tokensPerSecond: 0, etaSeconds: 0 });

const losses = (run: SharedRun) => ofType(run, "evaluated").map(({ evalLoss }) => evalLoss);

const ofType = <T extends TrainingEvent["type"]>({ events }: SharedRun, type: T) =>
  events.filter((event): event is Extract<TrainingEvent, { type: T }> => event.type === type);

onGpu("two ranks train bit for bit as one rank with twice the passes, and evaluate in shares", async () => {
  // 11 rows are 6 micro-batches
  const want = await alone(2), runs = await together(2, 2);
  for (const run of runs) {
    assertClose(run.parameters, want.parameters, exact());
    assert.deepEqual(ofType(run, "step").map(steady), ofType(want, "step").map(steady));
    const [got, wanted] = [run, want].map((one) => ofType(one, "evaluated"));
    assert.deepEqual(got!.map(({ evalTokens }) => evalTokens), wanted!.map(({ evalTokens }) => evalTokens));
    assertClose(losses(run), losses(want), tensor("f32"));
    assertClose(losses(run), losses(runs[0]!), exact());
  }
});

onGpu("four ranks, two of them without rows in a short step, come within 1e-5 of one rank", async () => {
  const want = await alone(4), runs = await together(4, 4);
  const largest = want.parameters.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (const { parameters } of runs) {
    assertClose(parameters, runs[0]!.parameters, exact());
    const worst = parameters.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - want.parameters[i]!)),
      0,
    );
    assert.ok(worst <= 1e-5 * largest, `${worst} of ${largest}`);
  }
});

onGpu("ranks stop together where one of them is told to", async () => {
  await withModels(2, async (models) => {
    const [first, second] = memoryRanks(2), config = configOf(2), reason = new Error("enough");
    const ends = await Promise.allSettled([
      trainOn(models[0]!, config, first),
      trainOn(models[1]!, config, second, AbortSignal.abort(reason)),
    ]);
    assert.match(
      String((ends[0] as PromiseRejectedResult).reason),
      /Another rank of the run was told to stop/,
    );
    assert.equal((ends[1] as PromiseRejectedResult).reason, reason);
  });
});

onGpu("ranks with other rows do not go on", async () => {
  await withModels(2, async (models) => {
    const config = configOf(2, { eval_strategy: "no" });
    const ends = await Promise.allSettled(
      memoryRanks(2).map((own, rank) => {
        const train = examples(11, 1 + rank);
        const trainer = new ModelTrainer(models[rank]!, { ...DATA, train, eval: [] }, config, () => 0, own);
        return Array.fromAsync(trainer.train(new AbortController().signal));
      }),
    );
    for (const end of ends) {
      assert.match(String((end as PromiseRejectedResult).reason), /they do not read the same rows/);
    }
  });
});
