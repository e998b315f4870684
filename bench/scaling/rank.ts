/**
 * One rank of what `scaling.ts` measures; it writes what it found as `rank-N.json` into a folder.
 *
 *     mpirun -np 2 deno run ... rank.ts '{"layers":30,"length":64,"microBatches":2,"steps":3,"bytes":[65536],"into":"ranks"}'
 *
 * @module
 */
import process from "node:process";
import { type Communicator, ONE_RANK } from "../../src/distributed/communicator.ts";
import { launchedRank } from "../../src/distributed/launched.ts";
import { MpiCommunicator } from "../../src/distributed/mpi.ts";
import { openGpu } from "../../src/gpu/device.ts";
import type { TrainableModel } from "../../src/models/trainable_model.ts";
import { chooseVariants } from "../../src/nn/variants.ts";
import { AdamW } from "../../src/optim/adamw.ts";
import { StepExchange } from "../../src/trainer/step_exchange.ts";
import { fullBatch, syntheticModel } from "../training_step.ts";
import type { Transfer } from "./links.ts";

/** What is to be measured. */
export interface RankOrder {
  /** Blocks of SmolLM2's shape. */
  readonly layers: number;
  /** Tokens of a micro-batch. */
  readonly length: number;
  /** Of a step, of all ranks together. */
  readonly microBatches: number;
  /** After one that is thrown away: it compiles. */
  readonly steps: number;
  /** Sizes of allreduces to time by themselves. */
  readonly bytes: readonly number[];
  readonly into: string;
}

/** Seconds of a step's parts, by the wall. */
export interface StepParts {
  /** Forward and backward of the rank's own micro-batches. */
  readonly compute: number;
  /** Gradients from the GPU to the host. */
  readonly read: number;
  /** Until the slowest rank is there. */
  readonly wait: number;
  readonly allreduce: number;
  /** Sums to the GPU, and the update. */
  readonly update: number;
  /** Processor time of the process over all of it. */
  readonly cpu: number;
}

/** What a rank found. */
export interface RankFindings {
  readonly adapter: string;
  readonly gradientBytes: number;
  readonly steps: readonly StepParts[];
  /** Least of some. */
  readonly transfers: readonly Transfer[];
}

const ADAMW = { weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, maxGradNorm: 1 };

/** Times an allreduce is made; the least is taken, since whatever else the machine does only adds to it. */
const TIMES = 20;

const seconds = () => performance.now() / 1000;

/** Tells waiting from adding up. */
class TimedRanks implements Communicator {
  readonly rank: number;
  readonly size: number;
  came = 0;
  wait = 0;
  allreduce = 0;
  readonly #ranks: Communicator;

  constructor(ranks: Communicator) {
    this.#ranks = ranks;
    ({ rank: this.rank, size: this.size } = ranks);
  }

  async sum(values: Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>): Promise<void> {
    this.came = seconds();
    if (this.#ranks instanceof MpiCommunicator) this.#ranks.barrier();
    const met = seconds();
    await this.#ranks.sum(values);
    this.wait = met - this.came;
    this.allreduce = seconds() - met;
  }

  gather(text: string): Promise<string[]> {
    return this.#ranks.gather(text);
  }

  close(): Promise<void> {
    return this.#ranks.close();
  }
}

async function timeSteps(model: TrainableModel, ranks: Communicator, order: RankOrder): Promise<StepParts[]> {
  const { microBatches, length, steps } = order, { gpu } = model.resources;
  const timed = new TimedRanks(ranks), exchange = new StepExchange(model, timed);
  const optimizer = await AdamW.create(model.resources, model.pool, model.sinks, ADAMW);
  const batch = fullBatch(model, 1, length), trainedTokens = microBatches * length;
  const found: StepParts[] = [];
  for (let step = 0; step <= steps; step++) {
    if (ranks instanceof MpiCommunicator) ranks.barrier(); // nobody begins while another is still compiling
    const cpu = process.cpuUsage(), started = seconds();
    model.clearGradients();
    exchange.begin();
    let own = 0;
    for (let i = ranks.rank; i < microBatches; i += ranks.size, own++) {
      await model.accumulate(batch, 1 / trainedTokens, { step, firstToken: i * length });
    }
    await gpu.settle();
    const computed = seconds();
    if (ranks.size > 1) {
      await exchange.exchange({ trainedTokens: own * length, allTrainedTokens: trainedTokens, stops: false });
    } else timed.came = computed;
    optimizer.step(step + 1, 1e-4);
    await gpu.settle();
    const { user, system } = process.cpuUsage(cpu), { came, wait, allreduce } = timed;
    found.push({
      compute: computed - started,
      read: came - computed,
      wait,
      allreduce,
      update: seconds() - came - wait - allreduce,
      cpu: (user + system) / 1e6,
    });
  }
  return found.slice(1);
}

async function timeTransfers(ranks: MpiCommunicator, sizes: readonly number[]): Promise<Transfer[]> {
  const found: Transfer[] = [];
  for (const bytes of sizes) {
    const values = new Float32Array(bytes / 4).fill(ranks.rank), all: number[] = [];
    for (let i = 0; i < TIMES; i++) {
      ranks.barrier();
      const started = seconds();
      await ranks.sum(values);
      all.push(seconds() - started);
    }
    found.push({ bytes, seconds: Math.min(...all.slice(1)) });
  }
  return found;
}

if (import.meta.main) {
  const order: RankOrder = JSON.parse(Deno.args[0]!);
  const isAlone = launchedRank(Deno.env.toObject()).size === 1;
  const ranks = isAlone ? ONE_RANK : MpiCommunicator.open();
  const gpu = await openGpu(), variants = chooseVariants(gpu);
  const model = await syntheticModel(gpu, variants, { layers: order.layers, rows: 1, length: order.length });
  const findings: RankFindings = {
    adapter: gpu.name,
    gradientBytes: model.pool.bytes,
    steps: await timeSteps(model, ranks, order),
    transfers: ranks instanceof MpiCommunicator ? await timeTransfers(ranks, order.bytes) : [],
  };
  await Deno.writeTextFile(`${order.into}/rank-${ranks.rank}.json`, JSON.stringify(findings));
  await ranks.close();
  Deno.exit(0);
}
