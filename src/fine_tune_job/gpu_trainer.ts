/**
 * Lowrank's own trainer: plans, trains and saves on one GPU after the other, as long as lost ones may be replaced.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../config.ts";
import { type Communicator, ONE_RANK } from "../distributed/communicator.ts";
import type { ConfigIssue } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import type { Gpu } from "../gpu/device.ts";
import { ModelManager } from "../model_manager.ts";
import type { PreparedRun, RunInputs } from "../prepared_run.ts";
import { checkMerged, trainedAdapter } from "../run_output.ts";
import type { Trainer, TrainerFacts } from "../training_session.ts";
import { reasonLines } from "../tuning/describe.ts";
import { tilesOf } from "../tuning/for_run.ts";
import { closeAll, type Closers, type FineTuneJobDeps, type OpenDevice } from "./deps.ts";
import { estimated } from "./estimate.ts";
import type { JobSession } from "./job_session.ts";
import { openDevice, planRun } from "./plan.ts";
import { type DeviceLoss, fromLastCheckpoint, lossBehind, Recoveries } from "./recovery.ts";
import { loadModel, trainRun } from "./training.ts";

/** Name of the trainer. */
export const GPU_TRAINER = "lowrank";

/** A trainer of a job's own: sees all of the session, since it makes checkpoints and goes on from them. */
export class GpuTrainer implements Trainer {
  readonly name = GPU_TRAINER;
  readonly #deps: FineTuneJobDeps;
  readonly #models: ModelManager;
  readonly #ranks: Communicator;

  constructor(deps: FineTuneJobDeps) {
    this.#deps = deps;
    this.#ranks = deps.ranks ?? ONE_RANK;
    this.#models = new ModelManager(deps.files);
  }

  refusals({ training: { gradientAccumulationSteps } }: FineTuneJobConfig): readonly ConfigIssue[] {
    const { size } = this.#ranks;
    if (gradientAccumulationSteps >= size) return [];
    const message =
      `must be at least the number of ranks (${size}), which share the micro-batches of a step: ` +
      `current value is ${gradientAccumulationSteps}`;
    return [{ path: "gradient_accumulation_steps", message }];
  }

  async *train(session: JobSession): AsyncGenerator<TrainingEvent> {
    const { config, signal } = session, deps = this.#deps;
    const recoveries = new Recoveries(config.job.maxDeviceRecoveries);
    let from = session.inputs, lost: Gpu | null = null;
    while (true) {
      const closers: Closers = [];
      let device: OpenDevice | null = null;
      try {
        yield { type: "phase", stage: "plan", message: "planning" };
        device = await openDevice(config, deps, closers, lost);
        if (this.#ranks.rank > 0) from = withTiles(from, await this.#tilesOfLead(null));
        const run = yield* planRun(config, deps, from, device, closers);
        from = withTiles(from, run.identity.tiles!);
        if (this.#ranks.rank === 0) await this.#tilesOfLead(run.identity.tiles!);
        yield* this.#compareGpus(run);
        yield* session.describe(factsOf(run, this.#ranks, config));
        if (session.dryRun) return yield* this.#estimate(run, session);
        yield* this.#trainOn(run, session);
        if (this.#ranks.rank > 0) return;
        return yield* this.#save(run, session);
      } catch (error) {
        const loss = await lossBehind(error, device?.gpu ?? null, signal);
        // the others would wait for this rank's part of the step that it goes back from
        if (loss === null || this.#ranks.size > 1) throw error;
        from = yield* this.#afterLoss(loss, from, recoveries, session);
        lost = device!.gpu;
      } finally {
        await closeAll(closers);
      }
    }
  }

  async *#estimate(run: PreparedRun, { config, signal }: JobSession): AsyncGenerator<TrainingEvent> {
    if (!this.#deps.measuresStep) return;
    yield* estimated(run, { config, models: this.#models, ranks: this.#ranks, signal });
  }

  async *#trainOn(run: PreparedRun, session: JobSession): AsyncGenerator<TrainingEvent> {
    const { config, output, progress, signal, mirror } = session, models = this.#models, ranks = this.#ranks;
    yield* loadModel(run, models, config.training.seed, signal);
    const logs = await session.begin(run.checkpoint);
    const { finish = null, answersNow = () => false } = this.#deps;
    const asked = { signal, finish, answersNow };
    yield* trainRun(run, { config, output, models, progress, logs, ranks, mirror, ...asked });
  }

  /** Rank 0 alone measures kernels: the others would disturb it, and other tiles round otherwise. */
  async #tilesOfLead(tiles: Tiles | null): Promise<Tiles> {
    const [told] = await this.#ranks.gather(JSON.stringify(tiles));
    return JSON.parse(told!);
  }

  async *#compareGpus({ gpu }: PreparedRun): AsyncGenerator<TrainingEvent> {
    const names = await this.#ranks.gather(gpu.name), kinds = [...new Set(names)];
    if (kinds.length === 1) return;
    const message = `the ranks compute on GPUs of several kinds (${kinds.join(", ")}), which may round ` +
      "otherwise: the run ends with an error where their parameters are not the same";
    yield { type: "warning", message };
  }

  async *#save(run: PreparedRun, session: JobSession): AsyncGenerator<TrainingEvent> {
    const { config: { job: { mergeBase }, training }, signal } = session;
    const adapter = await trainedAdapter(run);
    yield* session.save(
      adapter,
      (folder) => checkMerged(run, { folder, adapter, mergeBase, training, signal }),
    );
  }

  /** Tells of a lost device, and goes back to where the run can go on. @throws The loss, if it is one too many. */
  async *#afterLoss(
    loss: DeviceLoss,
    inputs: RunInputs,
    recoveries: Recoveries,
    { output, progress, signal, isBegun }: JobSession,
  ): AsyncGenerator<TrainingEvent, RunInputs> {
    // until the folder was cleared, checkpoints in it may be another run's
    const from = isBegun ? await fromLastCheckpoint(inputs, output) : inputs;
    const event = recoveries.add(loss, from.checkpoint?.record.step ?? 0);
    progress.rewind(from.checkpoint?.record ?? null);
    yield event;
    signal.throwIfAborted();
    return from;
  }
}

type Tiles = NonNullable<RunInputs["identity"]["tiles"]>;

function withTiles(inputs: RunInputs, tiles: Tiles): RunInputs {
  return { ...inputs, identity: { ...inputs.identity, tiles } };
}

function factsOf(
  { gpu, variants, model, recompute, memory }: PreparedRun,
  { size }: Communicator,
  { training: { gradientAccumulationSteps: passes } }: FineTuneJobConfig,
): TrainerFacts {
  return {
    device: { name: gpu.name, software: gpu.software },
    trainableParameters: model.pool.size,
    choices: [
      ...(size > 1 ? [`${size} ranks share the ${passes} micro-batches of a step`] : []),
      ...reasonLines(variants.reason),
    ],
    memory,
    recomputedBlocks: recompute,
    kernels: { reason: variants.reason, tiles: tilesOf(variants) },
  };
}
