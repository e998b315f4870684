/**
 * The pre-norm decoder: token embedding, blocks (their formulas are in `decoder_block.ts`), final norm and head. Every
 * family is built here from what it says of itself; none is known by name.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { Attention } from "../nn/attention.ts";
import type { SpanTensors } from "../nn/attention_spans.ts";
import { embed, embedBackward, type SortedRows } from "../nn/embedding.ts";
import { LmHead } from "../nn/lm_head.ts";
import { LoraLinear, type LowRank } from "../nn/lora_linear.ts";
import { recordNoise } from "../nn/noise.ts";
import { type Projection, Projections } from "../nn/projections.ts";
import { ResidualBranch } from "../nn/residual_branch.ts";
import { RmsNorm } from "../nn/rms_norm.ts";
import type { RopeTables } from "../nn/rope.ts";
import type { StepRecorder } from "../nn/step_recorder.ts";
import type { Variants } from "../nn/variants.ts";
import type { MatrixWeight } from "../nn/weight.ts";
import { type Tensor, tensor } from "../tensor.ts";
import type { ModelConfig } from "./config.ts";
import { type BlockSaved, DecoderBlock } from "./decoder_block.ts";
import {
  DecoderWeights,
  type LoadProgress,
  type PackedSource,
  type TrainedTensors,
  type WeightSource,
} from "./decoder_weights.ts";
import { hasBias, type LinearPart, linearShape, type ModelFamily, partWidths } from "./family.ts";
import { angleBounds, boundedTables, firstAngle, type Rope } from "./rope.ts";

export type { WeightSource } from "./decoder_weights.ts";

/** The tensors that a batch comes in by. */
export interface DecoderInputs {
  /** [R] token ids */
  readonly ids: Tensor;
  /** [R]: where each token stands in its row, or in its document of a packed row. */
  readonly positions: Tensor;
  /** [R, 2] for each of {@link Decoder.windows}: the keys that each token sees. */
  readonly spans: SpanTensors;
  /** Rows by token id; needed for the gradient of a trained embedding only. */
  readonly rowsById?: SortedRows;
  /** Numbers of the noise on embedded tokens; none is added without. */
  readonly noise?: Tensor;
  /** R = B · rowLength */
  readonly rowLength: number;
}

/** A block's input and, unless it is to be computed again, what backward needs. */
export interface SavedBlock {
  readonly x: Tensor;
  readonly kept: BlockSaved | null;
}

/** Gives the trainable half of a linear map by its module path and shape, or null where none is wanted. */
export type LowRankOf = (path: string, rows: number, cols: number) => LowRank | null;

/** Where and how a decoder runs, and what of it is trained. */
export interface DecoderOptions {
  readonly gpu: Gpu;
  readonly variants: Variants;
  readonly lowRankOf: LowRankOf;
  /** The longest row that will be run, tokens. */
  readonly maxRowLength: number;
  /** Weights that are parameters; without it, all are frozen. */
  readonly trained?: TrainedTensors | null;
  /** How frozen matrices are kept, by the names of their tensors; null, or none given, is f32. */
  readonly formatOf?: PackedSource["formatOf"] | undefined;
  /** A loaded decoder of the same model without trained weights, whose weights are used where they lie; default none. */
  readonly loaded?: Decoder | null;
}

export class Decoder {
  readonly config: ModelConfig;
  readonly embedding: MatrixWeight;
  readonly blocks: readonly DecoderBlock[];
  readonly attention: Attention;
  readonly head: LmHead;
  /** Its linear maps but for the head, in the order in which they compute. */
  readonly linears: readonly LoraLinear[];
  /** Tables of the angles of each kind of layer, for rows of up to `maxRowLength`; see {@link Decoder.firstPosition}. */
  readonly ropes: ReadonlyMap<Rope, RopeTables>;
  readonly #gpu: Gpu;
  readonly #family: ModelFamily;
  readonly #lowRankOf: LowRankOf;
  readonly #weights: DecoderWeights;
  readonly #angleBounds: readonly number[];
  readonly #linears: LoraLinear[] = [];

  /** Plans every weight; takes no memory. */
  constructor(
    config: ModelConfig,
    family: ModelFamily,
    { gpu, variants, lowRankOf, maxRowLength, trained = null, formatOf, loaded }: DecoderOptions,
  ) {
    this.config = config;
    this.#gpu = gpu;
    this.#family = family;
    this.#lowRankOf = lowRankOf;
    this.#angleBounds = angleBounds(config.layers.map(({ rope }) => rope), maxRowLength);
    this.#weights = new DecoderWeights(gpu, variants, trained, formatOf, loaded ? loaded.#weights : null);
    const { hiddenSize: C, vocabSize: V } = config;
    this.attention = new Attention({
      heads: config.numAttentionHeads,
      kvHeads: config.numKeyValueHeads,
      headDim: config.headDim,
      scale: config.attentionScale,
      softcap: config.attentionSoftcap,
    });
    this.embedding = this.#weights.vocabulary(`${family.embedding}.weight`, V, C);
    this.blocks = config.layers.map((_, i) => this.#block(i));
    this.linears = this.#linears;
    this.head = new LmHead(
      this.#norm(family.finalNorm, C),
      this.#headWeight(trained),
      variants.logitBytes,
      config.logitSoftcap,
    );
    const angles = this.#angleBounds.reduce((sum, bound) => sum + bound, 0);
    this.ropes = new Map(config.layers.map(({ rope }) => [rope, plannedTables(rope, angles)]));
  }

  /** Bytes of all frozen weights and tables on the GPU. */
  get bytes(): number {
    return this.#tables().reduce((sum, { bytes }) => sum + bytes, this.#weights.bytes);
  }

  /** Bytes of the matrices that are kept packed, scales included, and the number of their values. */
  get packed(): { readonly bytes: number; readonly values: number } {
    return this.#weights.packed;
  }

  /** The same by how weights are kept, such as `f32` and `nf4_double`. */
  get bytesByFormat(): ReadonlyMap<string, number> {
    const bytes = new Map(this.#weights.bytesByFormat);
    const tables = this.#tables().reduce((sum, { bytes }) => sum + bytes, 0);
    return bytes.set("f32", tables + (bytes.get("f32") ?? 0));
  }

  /** The different windows of its blocks. */
  get windows(): readonly number[] {
    return [...new Set(this.blocks.map(({ layer }) => layer.window))];
  }

  /** Row of the tables that position 0 takes in a batch whose longest row, or packed document, has so many tokens. */
  firstPosition(longest: number): number {
    return firstAngle(this.#angleBounds, longest);
  }

  /** Uploads the weights, tensor by tensor, and the tables. */
  async load(weights: WeightSource, onTensor?: LoadProgress): Promise<void> {
    await this.#weights.load(weights, onTensor);
    this.loadTables();
    await this.#gpu.settle();
  }

  /** Uploads what follows from the config alone. Part of `load`; for models whose weights come from elsewhere. */
  loadTables(): void {
    for (const [rope, to] of this.ropes) {
      const { cos, sin } = boundedTables(rope, this.#angleBounds);
      this.#weights.upload(to.cos, cos);
      this.#weights.upload(to.sin, sin);
    }
  }

  /**
   * Records the blocks: x [R, C] before the final norm. Backward needs `saved`; without it, its memory is free.
   * Of the first `recompute` blocks only the input is kept; backward computes the rest again (Chen et al. 2016,
   * arXiv:1604.06174). The first ones, since by the time they are reached the memory of those above is free.
   */
  forward(run: StepRecorder, inputs: DecoderInputs, recompute = 0): { x: Tensor; saved: SavedBlock[] } {
    let x = embed(run, this.embedding, inputs.ids, this.config.embeddingScale);
    if (inputs.noise) recordNoise(run, x, inputs.noise, inputs.rowLength);
    const saved = this.blocks.map((block, i) => {
      const input = x;
      const made = block.forward(run, x, { ...inputs, ropes: this.ropes });
      x = made.y;
      run.endScope();
      return { x: input, kept: i < recompute ? null : made.saved };
    });
    return { x, saved };
  }

  /** Records the blocks' backward. dy [R, C] is the gradient of x before the final norm. */
  backward(run: StepRecorder, dy: Tensor, saved: readonly SavedBlock[], inputs: DecoderInputs): void {
    const shared = { ...inputs, ropes: this.ropes };
    let dx: Tensor | null = dy;
    for (let i = this.blocks.length - 1; i >= 0; i--) {
      const block = this.blocks[i]!, { x, kept } = saved[i]!;
      const needed = kept ?? block.recompute(run, x, shared);
      dx = block.backward(run, dx!, needed, shared, i > 0 || this.#trainsBelow);
      run.endScope();
    }
    if (dx && inputs.rowsById) {
      const { embeddingScale } = this.config;
      embedBackward(run, this.embedding, dx, inputs.ids, inputs.rowsById, embeddingScale);
    }
  }

  destroy(): void {
    this.#weights.destroy();
    for (const table of this.#tables()) table.buffer?.destroy();
  }

  /** Tied, it is the embedding, unless one of the two is trained without the other, as PEFT does it. */
  #headWeight(trained: TrainedTensors | null): MatrixWeight {
    const { vocabSize: V, hiddenSize: C, tieWordEmbeddings } = this.config;
    const [head, embedding] = [`${this.#family.head}.weight`, `${this.#family.embedding}.weight`];
    if (!tieWordEmbeddings) return this.#weights.vocabulary(head, V, C);
    const isUntied = trained && !trained.isTied &&
      [head, embedding].some((name) => this.#weights.isTrained(name));
    return isUntied ? this.#weights.untiedHead(head, embedding, V, C) : this.embedding;
  }

  /** Whether the gradient of the first block's input is needed. */
  get #trainsBelow(): boolean {
    const { layer, norms } = this.#family;
    return this.embedding.grad !== null ||
      this.#weights.isTrained(`${layer(0)}.${norms.beforeAttention}.weight`);
  }

  #block(index: number): DecoderBlock {
    const { config, attention } = this, { norms, layer } = this.#family, C = config.hiddenSize;
    const norm = (path: string, width = C) => this.#norm(`${layer(index)}.${path}`, width);
    const optional = (path: string | null, width = C) => path === null ? null : norm(path, width);
    const maps = (...parts: LinearPart[]) => this.#projections(index, parts);
    return new DecoderBlock({
      layer: config.layers[index]!,
      norm1: norm(norms.beforeAttention),
      qkv: new Projections(maps("q", "k", "v")),
      queryNorm: optional(norms.query, config.headDim),
      keyNorm: optional(norms.key, config.headDim),
      attention,
      o: new ResidualBranch(maps("o")[0]!.map, optional(norms.afterAttention)),
      norm2: norm(norms.beforeFeedForward),
      gateUp: new Projections(maps("gate", "up")),
      activation: config.activation,
      down: new ResidualBranch(maps("down")[0]!.map, optional(norms.afterFeedForward)),
    });
  }

  /** The maps of a layer that compute the parts. */
  #projections(index: number, parts: readonly LinearPart[]): Projection[] {
    return this.#family.linears.filter((map) => parts.includes(map.parts[0]!)).map((map) => {
      const path = `${this.#family.layer(index)}.${map.path}`, [rows, cols] = linearShape(map, this.config);
      const matrix = this.#weights.matrix(`${path}.weight`, rows, cols);
      const bias = hasBias(map, this.config) ? this.#weights.vector(`${path}.bias`, rows) : null;
      const linear = new LoraLinear(matrix, this.#lowRankOf(path, rows, cols), bias?.value, bias?.grad);
      this.#linears.push(linear);
      return { map: linear, widths: partWidths(map.parts, this.config) };
    });
  }

  #norm(path: string, width: number): RmsNorm {
    const { value, grad } = this.#weights.vector(`${path}.weight`, width);
    return new RmsNorm(value, this.config.rmsNormEps, grad, this.#family.normOffset);
  }

  #tables(): Tensor[] {
    return [...this.ropes.values()].flatMap(({ cos, sin }) => [cos, sin]);
  }
}

function plannedTables({ rotaryDim }: Rope, length: number): RopeTables {
  const shape = [length, rotaryDim / 2];
  return { cos: tensor("rope cosines", shape), sin: tensor("rope sines", shape) };
}
