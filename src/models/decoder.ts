/**
 * The pre-norm decoder: token embedding, blocks, final norm and head. A block, with residual stream x:
 *
 *     h = x + O·attention(rope(Q·n₁), rope(K·n₁), V·n₁)        n₁ = norm₁(x)
 *     y = h + D·(g(G·n₂) · U·n₂)                               n₂ = norm₂(h)
 *
 * Backward is the same lines read from below. To the gradient of the residual stream each norm adds that of its branch.
 *
 * @module
 */
import type { Gpu } from "../gpu/device.ts";
import { BufferUsage } from "../gpu/usage.ts";
import { Attention, type AttentionSaved } from "../nn/attention.ts";
import type { SpanTensors } from "../nn/attention_spans.ts";
import { embed, embedBackward, type SortedRows } from "../nn/embedding.ts";
import { FrozenMatrix } from "../nn/frozen_matrix.ts";
import { LmHead } from "../nn/lm_head.ts";
import { LoraLinear, type LoraLinearSaved, type LowRank } from "../nn/lora_linear.ts";
import type { Parameter, ParameterPool } from "../nn/parameter_pool.ts";
import { RmsNorm, type RmsNormSaved } from "../nn/rms_norm.ts";
import { type QueriesAndKeys, type RopeTables, rotate } from "../nn/rope.ts";
import type { StepRecorder } from "../nn/step_recorder.ts";
import * as gated from "../nn/gated.ts";
import type { Variants } from "../nn/variants.ts";
import { type MatrixWeight, TrainedMatrix } from "../nn/weight.ts";
import { type Tensor, tensor } from "../tensor.ts";
import type { ModelConfig } from "./config.ts";
import { type ModelFamily, normPaths } from "./family.ts";
import { ropeTables } from "./rope.ts";

/** Where a decoder's weights come from; names and shapes were checked against the config before. */
export interface WeightSource {
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  readRowsF32(name: string, firstRow: number, rowCount: number): Promise<Float32Array<ArrayBuffer>>;
}

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
  /** R = B · rowLength */
  readonly rowLength: number;
}

/** What one block keeps for its backward. */
interface BlockSaved {
  readonly norm1: RmsNormSaved;
  readonly q: LoraLinearSaved;
  readonly k: LoraLinearSaved;
  readonly v: LoraLinearSaved;
  readonly attention: AttentionSaved;
  readonly o: LoraLinearSaved;
  readonly norm2: RmsNormSaved;
  readonly gate: LoraLinearSaved;
  readonly up: LoraLinearSaved;
  readonly gated: gated.GatedSaved;
  readonly down: LoraLinearSaved;
}

/** A block's input and, unless it is to be computed again, what backward needs. */
export interface SavedBlock {
  readonly x: Tensor;
  readonly kept: BlockSaved | null;
}

/** The maps of one block, in the order of the forward pass. */
export interface Block {
  /** Keys that a token sees at most, its own included; Infinity without a sliding window. */
  readonly window: number;
  readonly norm1: RmsNorm;
  readonly q: LoraLinear;
  readonly k: LoraLinear;
  readonly v: LoraLinear;
  readonly o: LoraLinear;
  readonly norm2: RmsNorm;
  readonly gate: LoraLinear;
  readonly up: LoraLinear;
  readonly down: LoraLinear;
}

/** Gives the trainable half of a linear map by its module path and shape, or null where none is wanted. */
export type LowRankOf = (path: string, rows: number, cols: number) => LowRank | null;

export class Decoder {
  readonly config: ModelConfig;
  readonly head: LmHead;
  readonly #gpu: Gpu;
  readonly embedding: MatrixWeight;
  readonly blocks: Block[] = [];
  readonly attention: Attention;
  readonly #matrices = new Map<string, FrozenMatrix>();
  readonly #norms = new Map<string, Tensor>();
  readonly #trained = new Map<string, Parameter>();
  readonly rope: RopeTables;
  readonly #ropeLength: number;

  /**
   * Plans every weight; takes no memory. `maxRowLength` is the longest row that will be run. With `trained`, every
   * weight is a parameter of that pool; without it, all are frozen.
   */
  constructor(
    config: ModelConfig,
    family: ModelFamily,
    { gpu, variants, lowRankOf, maxRowLength, trained = null }: {
      gpu: Gpu;
      variants: Variants;
      lowRankOf: LowRankOf;
      maxRowLength: number;
      trained?: ParameterPool | null;
    },
  ) {
    this.config = config;
    this.#gpu = gpu;
    const { hiddenSize: C, intermediateSize: F, headDim: D, rmsNormEps } = config;
    const queries = config.numAttentionHeads * D, keys = config.numKeyValueHeads * D;
    const parameter = (pool: ParameterPool, name: string, shape: readonly number[]) => {
      const made = pool.add(name, shape);
      this.#trained.set(name, made);
      return made;
    };
    const matrix = (path: string, rows: number, cols: number): MatrixWeight => {
      if (trained) return new TrainedMatrix(parameter(trained, `${path}.weight`, [rows, cols]));
      const made = new FrozenMatrix(`${path}.weight`, rows, cols, gpu, variants);
      this.#matrices.set(made.label, made);
      return made;
    };
    const linear = (path: string, rows: number, cols: number) =>
      new LoraLinear(matrix(path, rows, cols), lowRankOf(path, rows, cols));
    const norm = (path: string) => {
      if (trained) {
        const { value, grad } = parameter(trained, `${path}.weight`, [C]);
        return new RmsNorm(value, rmsNormEps, grad, family.normOffset);
      }
      const weight = tensor(`${path}.weight`, [C]);
      this.#norms.set(weight.label, weight);
      return new RmsNorm(weight, rmsNormEps, null, family.normOffset);
    };
    this.embedding = matrix(family.embedding, config.vocabSize, C);
    for (let i = 0; i < config.numHiddenLayers; i++) {
      const [q, k, v, o, gate, up, down] = family.linears.map(({ path }) => `${family.layer(i)}.${path}`);
      const [norm1, norm2] = normPaths(family).map((path) => `${family.layer(i)}.${path}`);
      this.blocks.push({
        window: config.layers[i]!.window,
        norm1: norm(norm1!),
        q: linear(q!, queries, C),
        k: linear(k!, keys, C),
        v: linear(v!, keys, C),
        o: linear(o!, C, queries),
        norm2: norm(norm2!),
        gate: linear(gate!, F, C),
        up: linear(up!, F, C),
        down: linear(down!, C, F),
      });
    }
    const head = config.tieWordEmbeddings ? this.embedding : matrix(family.head, config.vocabSize, C);
    this.head = new LmHead(norm(family.finalNorm), head, config.logitSoftcap);
    this.attention = new Attention({
      heads: config.numAttentionHeads,
      kvHeads: config.numKeyValueHeads,
      headDim: D,
      scale: config.attentionScale,
      softcap: config.attentionSoftcap,
    });
    this.#ropeLength = maxRowLength;
    const pairs = config.layers[0]!.rope.rotaryDim / 2;
    this.rope = {
      cos: tensor("rope cosines", [maxRowLength, pairs]),
      sin: tensor("rope sines", [maxRowLength, pairs]),
    };
  }

  /** Bytes of all frozen weights on the GPU. */
  get bytes(): number {
    const small = [...this.#norms.values(), this.rope.cos, this.rope.sin];
    return [...this.#matrices.values(), ...small].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The different windows of its blocks. */
  get windows(): readonly number[] {
    return [...new Set(this.blocks.map(({ window }) => window))];
  }

  /** Uploads the weights, tensor by tensor; at most a few megabytes are on the host at a time. */
  async load(weights: WeightSource, onTensor?: (done: number, all: number) => void): Promise<void> {
    const all = this.#matrices.size + this.#norms.size + this.#trained.size;
    let done = 0;
    for (const [name, matrix] of this.#matrices) {
      await matrix.load((first, count) => weights.readRowsF32(name, first, count));
      onTensor?.(++done, all);
    }
    for (const [name, weight] of this.#norms) {
      this.#upload(weight, await weights.readF32(name));
      onTensor?.(++done, all);
    }
    for (const [name, { value }] of this.#trained) {
      this.#gpu.device.queue.writeBuffer(value.buffer!, value.offset, await weights.readF32(name));
      onTensor?.(++done, all);
    }
    this.loadTables();
    await this.#gpu.settle();
  }

  /** Uploads what follows from the config alone. Part of `load`; for models whose weights come from elsewhere. */
  loadTables(): void {
    const { cos, sin } = ropeTables(this.config.layers[0]!.rope, this.#ropeLength);
    this.#upload(this.rope.cos, cos);
    this.#upload(this.rope.sin, sin);
  }

  /**
   * Records the blocks: x [R, C] before the final norm. Backward needs `saved`; without it, its memory is free.
   * Of the first `recompute` blocks only the input is kept; backward computes the rest again (Chen et al. 2016,
   * arXiv:1604.06174). The first ones, since by the time they are reached the memory of those above is free.
   */
  forward(run: StepRecorder, inputs: DecoderInputs, recompute = 0): { x: Tensor; saved: SavedBlock[] } {
    let x = embed(run, this.embedding, inputs.ids, this.config.embeddingScale);
    const saved = this.blocks.map((block, i) => {
      const input = x;
      const { y, kept } = this.#blockForward(run, block, x, inputs);
      x = y;
      run.endScope();
      return { x: input, kept: i < recompute ? null : kept };
    });
    return { x, saved };
  }

  /** Records the blocks' backward. dy [R, C] is the gradient of x before the final norm. */
  backward(run: StepRecorder, dy: Tensor, saved: readonly SavedBlock[], inputs: DecoderInputs): void {
    let dx: Tensor | null = dy;
    for (let i = this.blocks.length - 1; i >= 0; i--) {
      const block = this.blocks[i]!, { x, kept } = saved[i]!;
      const needed = kept ?? this.#blockAgain(run, block, x, inputs);
      const belowNeeded = i > 0 || this.embedding.grad !== null;
      dx = this.#blockBackward(run, block, dx!, needed, inputs, belowNeeded);
      run.endScope();
    }
    if (dx && inputs.rowsById) {
      const { embeddingScale } = this.config;
      embedBackward(run, this.embedding, dx, inputs.ids, inputs.rowsById, embeddingScale);
    }
  }

  destroy(): void {
    for (const matrix of this.#matrices.values()) matrix.destroy();
    for (const weight of [...this.#norms.values(), this.rope.cos, this.rope.sin]) weight.buffer?.destroy();
  }

  #blockForward(run: StepRecorder, block: Block, x: Tensor, inputs: DecoderInputs) {
    const { h, activated, kept } = this.#blockInside(run, block, x, inputs);
    const down = block.down.forward(run, activated, h);
    return { y: down.y, kept: { ...kept, down: down.saved } };
  }

  /** What the block's backward needs, from its input: all of forward but the last product. */
  #blockAgain(run: StepRecorder, block: Block, x: Tensor, inputs: DecoderInputs): BlockSaved {
    const { activated, kept } = this.#blockInside(run, block, x, inputs);
    return { ...kept, down: block.down.recompute(run, activated) };
  }

  #blockInside(
    run: StepRecorder,
    block: Block,
    x: Tensor,
    { positions, spans, rowLength }: DecoderInputs,
  ) {
    const norm1 = block.norm1.forward(run, x);
    const q = block.q.forward(run, norm1.y),
      k = block.k.forward(run, norm1.y),
      v = block.v.forward(run, norm1.y);
    const turned = this.#rotate(run, { q: q.y, k: k.y }, positions, 1);
    const attention = this.attention.forward(
      run,
      { ...turned, v: v.y },
      spans.get(block.window)!,
      rowLength,
    );
    const o = block.o.forward(run, attention.y, x);
    const norm2 = block.norm2.forward(run, o.y);
    const gate = block.gate.forward(run, norm2.y), up = block.up.forward(run, norm2.y);
    const activated = gated.forward(run, gate.y, up.y, this.config.activation);
    const kept: Omit<BlockSaved, "down"> = {
      norm1: norm1.saved,
      q: q.saved,
      k: k.saved,
      v: v.saved,
      attention: attention.saved,
      o: o.saved,
      norm2: norm2.saved,
      gate: gate.saved,
      up: up.saved,
      gated: activated.saved,
    };
    return { h: o.y, activated: activated.y, kept };
  }

  /** Gradient of the block's input; null for the first block where the embedding below it is frozen. */
  #blockBackward(
    run: StepRecorder,
    block: Block,
    dy: Tensor,
    saved: BlockSaved,
    { positions, spans, rowLength }: DecoderInputs,
    belowNeeded: boolean,
  ): Tensor | null {
    const rows = dy.shape[0]!;
    const { hiddenSize: C, intermediateSize: F } = this.config;

    const dactivated = run.tensor("dgated", [rows, F]);
    block.down.backward(run, dy, saved.down, dactivated, "set");
    const { dgate, dup } = gated.backward(run, dactivated, saved.gated);
    const dnorm2 = run.tensor("dnorm2", [rows, C]);
    block.up.backward(run, dup, saved.up, dnorm2, "set");
    block.gate.backward(run, dgate, saved.gate, dnorm2, "accumulate");
    const dh = block.norm2.backward(run, dnorm2, saved.norm2, dy);

    const dattention = run.tensor("dattention", saved.attention.out.shape);
    block.o.backward(run, dh, saved.o, dattention, "set");
    const { dq: dTurnedQ, dk: dTurnedK, dv } = this.attention.backward(
      run,
      dattention,
      saved.attention,
      spans.get(block.window)!,
      rowLength,
    );
    const { q: dq, k: dk } = this.#rotate(run, { q: dTurnedQ, k: dTurnedK }, positions, -1);
    const dnorm1 = belowNeeded ? run.tensor("dnorm1", [rows, C]) : null;
    block.v.backward(run, dv, saved.v, dnorm1, "set");
    block.k.backward(run, dk, saved.k, dnorm1, "accumulate");
    block.q.backward(run, dq, saved.q, dnorm1, "accumulate");
    return dnorm1 && block.norm1.backward(run, dnorm1, saved.norm1, dh);
  }

  #rotate(run: StepRecorder, x: QueriesAndKeys, positions: Tensor, direction: 1 | -1): QueriesAndKeys {
    return rotate(run, x, this.rope, { positions, headDim: this.config.headDim, direction });
  }

  #upload(to: Tensor, values: Float32Array<ArrayBuffer>): void {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    to.buffer = this.#gpu.device.createBuffer({ label: to.label, size: to.bytes, usage });
    this.#gpu.device.queue.writeBuffer(to.buffer, 0, values);
  }
}
