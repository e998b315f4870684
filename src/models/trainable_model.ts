/**
 * A decoder with what is trained of it (low-rank updates, every weight, or nothing) and the recorded programs that
 * run it: one for each shape of batch, made when the shape first comes, all on the same memory.
 *
 * @module
 */
import { Arena } from "../gpu/arena.ts";
import type { Gpu } from "../gpu/device.ts";
import { PipelineCache } from "../gpu/pipelines.ts";
import type { DispatchProfile } from "../gpu/profile.ts";
import type { PlannedProgram, Program } from "../gpu/program.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { LossSinks } from "../nn/lm_head.ts";
import { Magnitude } from "../nn/magnitude.ts";
import { ParameterPool } from "../nn/parameter_pool.ts";
import { StepRecorder } from "../nn/step_recorder.ts";
import type { Variants } from "../nn/variants.ts";
import { streamOf } from "../random.ts";
import { type Tensor, tensor } from "../tensor.ts";
import { BatchInputs, type BatchPlace, type ModelBatch } from "./batch_inputs.ts";
import type { ModelConfig } from "./config.ts";
import type { PackedSource, TrainedTensors } from "./decoder_weights.ts";
import { Decoder } from "./decoder.ts";
import type { LoraSpec } from "./lora_spec.ts";
import type { ModelFamily } from "./registry.ts";
import { RowNorms } from "./row_norms.ts";

export type { BatchPlace, ModelBatch } from "./batch_inputs.ts";

/** What is trained: low-rank updates, every weight, or nothing. */
export type Trainable = LoraSpec | "all" | null;

/** What a step leaves on the GPU. */
export interface StepTotals {
  readonly summedLoss: number;
  readonly gradNorm: number;
  /** Labelled tokens that got the largest logit. */
  readonly correctTokens: number;
  /** False once a logit, a gradient or the norm was not a finite number. */
  readonly finite: boolean;
}

/** Forward and backward, or forward and loss alone. */
export type ProgramKind = "train" | "evaluate";

/**
 * Largest batch that will be run.
 *
 * @internal
 */
export interface BatchLimits {
  readonly rows: number;
  /** Rows of the largest batch to train on, where evaluation takes more; default `rows`. */
  readonly trainRows?: number;
  readonly length: number;
  /** Blocks whose forward pass backward computes again, to need less memory; default 0. */
  readonly recompute?: number;
}

/**
 * Where a model runs.
 *
 * @internal
 */
export interface ModelDevice {
  readonly gpu: Gpu;
  /** Shared by models on one device, so that each kernel compiles once; default one of the model's own. */
  readonly pipelines?: PipelineCache;
  readonly variants: Variants;
  readonly limits: BatchLimits;
  /** How frozen matrices are kept; see {@link DecoderOptions}. */
  readonly formatOf?: PackedSource["formatOf"] | undefined;
  /** The same model, loaded, with nothing trained: its weights serve this one too, and have to outlive it. Default none. */
  readonly loaded?: TrainableModel | null;
  /** Strength of NEFTune's noise on the embedded tokens of training steps; default none. */
  readonly neftuneAlpha?: number | null;
  /** Of what training steps draw; default 0. */
  readonly seed?: number;
}

/**
 * A model with what training needs.
 *
 * @internal
 */
export class TrainableModel {
  readonly decoder: Decoder;
  readonly pool: ParameterPool;
  /** Of DoRA; nothing to compute without. */
  readonly rowNorms: RowNorms;
  readonly sinks: LossSinks;
  readonly resources: { readonly gpu: Gpu; readonly pipelines: PipelineCache; readonly arena: Arena };
  readonly #variants: Variants;
  readonly #limits: BatchLimits;
  readonly #inputs: BatchInputs;
  readonly #programs = new Map<string, Promise<Program>>();
  readonly #plans = new Map<string, PlannedProgram>();

  constructor(
    config: ModelConfig,
    family: ModelFamily,
    trainable: Trainable,
    device: ModelDevice,
  ) {
    const { gpu, pipelines = new PipelineCache(gpu), variants, limits, formatOf, loaded } = device;
    this.#variants = variants;
    this.#limits = limits;
    this.resources = { gpu, pipelines, arena: new Arena(gpu) };
    this.pool = new ParameterPool(gpu);
    this.decoder = new Decoder(config, family, {
      gpu,
      variants,
      maxRowLength: limits.length,
      formatOf,
      loaded: loaded?.decoder ?? null,
      trained: this.#trainedTensors(trainable),
      lowRankOf: (path, rows, cols) => {
        const lora = trainable === "all" ? null : trainable;
        const target = lora?.targets.get(path);
        if (!lora || !target) return null;
        const a = this.pool.add(lora.nameOf(path, "A"), [target.rank, cols]);
        const b = this.pool.add(lora.nameOf(path, "B"), [rows, target.rank]);
        const magnitude = lora.dora
          ? new Magnitude(this.pool.add(lora.nameOf(path, "magnitude"), [rows]))
          : null;
        const dropout = lora.dropout ? { rate: lora.dropout, stream: streamOf(`dropout ${path}`) } : null;
        return { a, b, magnitude, dropout, ...target };
      },
    });
    this.rowNorms = new RowNorms(this.decoder.linears, this.pool, this.resources, variants);
    this.#inputs = new BatchInputs(this.decoder, limits, {
      neftuneAlpha: device.neftuneAlpha ?? null,
      dropout: trainable !== null && trainable !== "all" && (trainable.dropout ?? 0) > 0,
      seed: device.seed ?? 0,
    });
    this.sinks = {
      totals: tensor("totals", [4]),
      flags: tensor("flags", [1], "u32"),
      scalars: tensor("step scalars", [1]),
    };
  }

  /**
   * Plans the largest program of each kind that will be run. After it, `resources.arena.bytes` is what a run
   * will take for activations; nothing is allocated.
   */
  plan(kinds: readonly ProgramKind[] = ["train", "evaluate"]): void {
    const { rows, trainRows = rows, length } = this.#limits;
    for (const kind of kinds) this.#planOf(kind, kind === "train" ? trainRows : rows, length);
    this.rowNorms.plan();
  }

  /** The planned program for a batch shape; nothing is allocated. */
  planned(kind: ProgramKind, rows: number, length: number): PlannedProgram {
    return this.#planOf(kind, rows, length);
  }

  /** Takes memory for parameters and inputs. Weights are loaded by `decoder.load`. */
  allocate(): void {
    this.pool.allocate();
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    for (const input of this.#fixed) {
      input.buffer = this.resources.gpu.device.createBuffer({ label: input.label, size: input.bytes, usage });
    }
  }

  /** Compiles the programs for a batch shape ahead of its first use. */
  async prepare(kind: ProgramKind, rows: number, length: number): Promise<void> {
    await this.#programOf(kind, rows, length);
  }

  /** Sets the gradients to zero: the start of an optimizer step. */
  clearGradients(): void {
    this.#clear(this.pool.chunks.map(({ grads }) => grads));
  }

  /** Sets the summed loss and the count of right tokens to zero. The flag of a value that is not finite stays raised. */
  clearTotals(): void {
    this.#clear([this.sinks.totals]);
  }

  /**
   * Forward and backward of one micro-batch: adds its summed loss to the totals and its gradients, each token weighted
   * by `tokenWeight` (1 / labelled tokens of the whole optimizer step), to the pool. `place` decides what is drawn.
   */
  async accumulate(
    batch: ModelBatch,
    tokenWeight: number,
    place: BatchPlace = { step: 1, firstToken: 0 },
  ): Promise<void> {
    const program = await this.#programOf("train", batch.rows, batch.length);
    await this.rowNorms.refresh();
    const chunks = this.#write(batch, tokenWeight);
    this.#inputs.writeDraws(this.resources.gpu.device.queue, batch, place);
    program.run(["forward", ...chunks.map((i) => `head ${i}`), "backward"]);
  }

  /** Time by kernel of one micro-batch's forward and backward. @throws {RangeError} Without timestamp queries. */
  async profile(batch: ModelBatch): Promise<DispatchProfile> {
    const program = await this.#programOf("train", batch.rows, batch.length);
    await this.rowNorms.refresh();
    const chunks = this.#write(batch, 0);
    return await program.profile(["forward", ...chunks.map((i) => `head ${i}`), "backward"]);
  }

  /** Adds the summed loss of one batch to the totals. */
  async evaluate(batch: ModelBatch): Promise<void> {
    const program = await this.#programOf("evaluate", batch.rows, batch.length);
    await this.rowNorms.refresh();
    const chunks = this.#write(batch, 0);
    program.run(["forward", ...chunks.map((i) => `head ${i}`)]);
  }

  /** Waits for the GPU and reads what the last step left. */
  async totals(): Promise<StepTotals> {
    const { gpu } = this.resources;
    const [totals, flags] = await Promise.all([
      gpu.read(this.sinks.totals.buffer!, 0, this.sinks.totals.bytes),
      gpu.read(this.sinks.flags.buffer!, 0, this.sinks.flags.bytes),
    ]);
    const [summedLoss, gradNorm, , correctTokens] = new Float32Array(totals);
    const flag = new Uint32Array(flags)[0]!;
    return {
      summedLoss: summedLoss!,
      gradNorm: gradNorm!,
      correctTokens: correctTokens!,
      finite: flag === 0 && Number.isFinite(summedLoss),
    };
  }

  /** Logits of every position, [rows · length, vocabulary]; for tests and checks of small models. */
  async logits(batch: ModelBatch): Promise<Float32Array> {
    const { run, inputs, labelled } = this.#recorder("logits", batch.rows, batch.length);
    const tokens = batch.rows * batch.length;
    const { x } = this.decoder.forward(run, inputs);
    const { shards } = this.decoder.head.logits(run, x, labelled, 0, tokens);
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    const kept = shards.map((shard) => {
      const buffer = this.resources.gpu.device.createBuffer({
        label: "kept logits",
        size: shard.bytes,
        usage,
      });
      const copy = Object.assign(tensor("kept logits", shard.shape), { buffer });
      run.copy(shard, copy);
      return copy;
    });
    const program = await run.build();
    await this.rowNorms.refresh();
    this.#write({ ...batch, targets: new Int32Array(tokens) }, 0);
    program.run();
    const vocab = this.decoder.config.vocabSize;
    const logits = new Float32Array(tokens * vocab);
    let first = 0;
    for (const { buffer, bytes, shape } of kept) {
      const values = new Float32Array(await this.resources.gpu.read(buffer, 0, bytes));
      const cols = shape[1]!;
      for (let r = 0; r < tokens; r++) {
        logits.set(values.subarray(r * cols, (r + 1) * cols), r * vocab + first);
      }
      first += cols;
      buffer.destroy();
    }
    return logits;
  }

  destroy(): void {
    this.decoder.destroy();
    this.pool.destroy();
    this.resources.arena.destroy();
    for (const input of this.#fixed) {
      input.buffer?.destroy();
    }
  }

  #trainedTensors(trainable: Trainable): TrainedTensors | null {
    if (trainable === "all") return { pool: this.pool, isTied: true, nameOf: (tensor) => tensor };
    return trainable?.wholeNameOf ? { pool: this.pool, isTied: false, nameOf: trainable.wholeNameOf } : null;
  }

  /** Tensors outside of the pool and of the arena. */
  get #fixed(): readonly Tensor[] {
    return [
      ...this.#inputs.tensors,
      ...Object.values(this.sinks),
      ...this.rowNorms.kept,
    ];
  }

  #clear(tensors: readonly Tensor[]): void {
    const encoder = this.resources.gpu.device.createCommandEncoder();
    for (const { buffer } of tensors) encoder.clearBuffer(buffer!);
    this.resources.gpu.device.queue.submit([encoder.finish()]);
  }

  /** Uploads a batch; returns the chunks of labelled rows that it fills. */
  #write(batch: ModelBatch, tokenWeight: number): number[] {
    const { queue } = this.resources.gpu.device;
    const labelled = this.#inputs.write(queue, batch);
    queue.writeBuffer(this.sinks.scalars.buffer!, 0, Float32Array.of(tokenWeight));
    const perChunk = this.decoder.head.chunkRows(batch.rows * batch.length);
    return [...Array(Math.ceil(labelled / perChunk)).keys()];
  }

  #programOf(kind: ProgramKind, rows: number, length: number): Promise<Program> {
    const key = `${kind} ${rows}x${length}`;
    let program = this.#programs.get(key);
    if (!program) {
      program = this.#planOf(kind, rows, length).build();
      this.#programs.set(key, program);
    }
    return program;
  }

  #planOf(kind: ProgramKind, rows: number, length: number): PlannedProgram {
    const key = `${kind} ${rows}x${length}`;
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = this.#record(kind, rows, length).plan();
      this.#plans.set(key, plan);
    }
    return plan;
  }

  #recorder(label: string, rows: number, length: number) {
    if (rows > this.#limits.rows || length > this.#limits.length) {
      throw new RangeError(
        `Cannot run a batch of ${rows} rows of ${length} tokens: planned for at most ${this.#limits.rows} of ${this.#limits.length}`,
      );
    }
    const run = new StepRecorder(`${label} ${rows}x${length}`, this.resources, this.#variants);
    return { run, ...this.#inputs.of(rows, length) };
  }

  #record(kind: ProgramKind, rows: number, length: number): StepRecorder {
    const { run, inputs, labelled } = this.#recorder(kind, rows, length);
    const tokens = rows * length;
    const { head } = this.decoder;
    run.section("forward");
    const { noise, dropout } = this.#inputs;
    if (kind === "train" && dropout) run.draws = { numbers: dropout, rowLength: length };
    const drawn = kind === "train" && noise ? { ...inputs, noise } : inputs;
    const { x, saved } = this.decoder.forward(run, drawn, this.#limits.recompute);
    const dx = kind === "train" ? run.tensor("dx", x.shape) : null;
    if (dx) run.clear(dx);
    const perChunk = head.chunkRows(tokens);
    for (let i = 0, first = 0; first < tokens; i++, first += perChunk) {
      run.section(`head ${i}`);
      const chunk = Math.min(perChunk, tokens - first);
      const kept = head.forward(run, x, labelled, this.sinks, first, chunk);
      if (dx) head.backward(run, kept, labelled, this.sinks, dx, first, chunk);
      run.endScope();
    }
    if (dx) {
      run.section("backward");
      this.decoder.backward(run, dx, saved, inputs);
    }
    return run;
  }
}
