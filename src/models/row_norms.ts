/**
 * The row norms of a model trained with DoRA: one program for all its maps, which runs when a parameter has changed and not
 * once a batch.
 *
 * @module
 */
import type { PlannedProgram, Program, ProgramResources } from "../gpu/program.ts";
import type { LoraLinear, LowRank } from "../nn/lora_linear.ts";
import type { Magnitude } from "../nn/magnitude.ts";
import type { ParameterPool } from "../nn/parameter_pool.ts";
import { StepRecorder } from "../nn/step_recorder.ts";
import type { Variants } from "../nn/variants.ts";
import type { MatrixWeight } from "../nn/weight.ts";
import type { Tensor } from "../tensor.ts";

interface MagnitudeMap {
  readonly weight: MatrixWeight;
  readonly lora: LowRank;
  readonly magnitude: Magnitude;
}

export class RowNorms {
  readonly #maps: readonly MagnitudeMap[];
  readonly #pool: ParameterPool;
  readonly #resources: ProgramResources;
  readonly #variants: Variants;
  #plan: PlannedProgram | null = null;
  #program: Promise<Program> | null = null;
  /** Of the parameters that the norms belong to; null before the first. */
  #version: number | null = null;

  /** Maps without a magnitude are passed by. */
  constructor(
    maps: readonly LoraLinear[],
    pool: ParameterPool,
    resources: ProgramResources,
    variants: Variants,
  ) {
    this.#maps = maps.flatMap(({ weight, lora }) => {
      return lora?.magnitude ? [{ weight, lora, magnitude: lora.magnitude }] : [];
    });
    this.#pool = pool;
    this.#resources = resources;
    this.#variants = variants;
  }

  /** Tensors that stay from step to step. */
  get kept(): readonly Tensor[] {
    return this.#maps.flatMap(({ magnitude }) => magnitude.kept);
  }

  /** Plans the program's workspace; allocates nothing. */
  plan(): void {
    if (this.#maps.length > 0) this.#plan ??= this.#record().plan();
  }

  /** Computes the norms anew unless they belong to the parameters as they are. The weights must be loaded. */
  async refresh(): Promise<void> {
    if (this.#maps.length === 0 || this.#version === this.#pool.version) return;
    const program = await this.#built();
    program.run(this.#version === null ? ["squares", "norms"] : ["norms"]);
    this.#version = this.#pool.version;
  }

  /** Sets every magnitude to its row's norm: the model computes what it would without magnitudes. */
  async start(): Promise<void> {
    if (this.#maps.length === 0) return;
    await this.refresh();
    (await this.#built()).run(["start"]);
    this.#pool.changed();
  }

  #built(): Promise<Program> {
    this.plan();
    return this.#program ??= this.#plan!.build();
  }

  #record(): StepRecorder {
    const run = new StepRecorder("row norms", this.#resources, this.#variants);
    run.section("squares");
    for (const { magnitude, weight } of this.#maps) {
      magnitude.recordSquares(run, weight);
      run.endScope();
    }
    run.section("norms");
    for (const { magnitude, weight, lora } of this.#maps) {
      magnitude.recordNorms(run, weight, lora);
      run.endScope();
    }
    run.section("start");
    for (const { magnitude } of this.#maps) magnitude.recordStart(run);
    return run;
  }
}
