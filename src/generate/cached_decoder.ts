/**
 * A decoder with a cache: takes tokens, gives the logits that follow some of them. A program is recorded for each of a few
 * numbers of tokens and replayed; ids, positions and places come in buffers.
 *
 * @module
 */
import { NO_PLACE } from "../../kernels/attention_decode/kernel.ts";
import { NO_ROW, scatterRows } from "../../kernels/rows/kernel.ts";
import type { Program, ProgramResources } from "../gpu/program.ts";
import { BufferUsage } from "../gpu/usage.ts";
import type { Decoder } from "../models/decoder.ts";
import { angleBounds, boundedTables, firstAngle, type Rope } from "../models/rope.ts";
import { attentionSpans, type SpanTensors } from "../nn/attention_spans.ts";
import type { RopeTables } from "../nn/rope.ts";
import { StepRecorder } from "../nn/step_recorder.ts";
import { chooseVariants, type Variants } from "../nn/variants.ts";
import { type Tensor, tensor, tensorAt } from "../tensor.ts";
import { cachedForward } from "./cached_forward.ts";
import { type CacheSize, KvCache } from "./kv_cache.ts";
import { MOST_TOKENS, type Pass, passesOf, type PlacedToken, powerOf2 } from "./passes.ts";

/** A model that is loaded on a GPU: a `TrainableModel`, in the middle of its training or not. */
export interface LoadedModel {
  readonly decoder: Decoder;
  readonly resources: ProgramResources;
  /** What follows from its parameters and must be up to date before it runs; default nothing. */
  readonly rowNorms?: { refresh(): Promise<void> };
}

const INPUTS = ["ids", "positions", "places", "outputs"] as const;

export class CachedDecoder {
  readonly cache: KvCache;
  readonly #decoder: Decoder;
  readonly #resources: ProgramResources;
  readonly #rowNorms: LoadedModel["rowNorms"] | null;
  readonly #variants: Variants;
  readonly #ropes: ReadonlyMap<Rope, RopeTables>;
  readonly #angleBounds: readonly number[];
  /** Row of the tables that position 0 takes. */
  #firstAngle = 0;
  /** Each [MOST_TOKENS], in one buffer. */
  readonly #inputs: Readonly<Record<typeof INPUTS[number], Tensor>>;
  /** Of whole prompts, each [MOST_TOKENS, 2]. */
  readonly #spans: SpanTensors;
  /** 0, 1, 2, …: the head takes its rows in order. */
  readonly #identity: Tensor;
  /** Last hidden states [rows, C] of the tokens whose logits are wanted. */
  readonly #hidden: Tensor;
  /** [rows · V], shard by shard. */
  readonly #logits: Tensor;
  readonly #programs = new Map<string, Promise<Program>>();
  /** Columns of each shard of the logits. */
  #shardCols: readonly number[] = [];

  /** Takes the memory of the cache and of the logits; weights and workspace are the model's. */
  constructor({ decoder, resources, rowNorms }: LoadedModel, size: CacheSize, variants?: Variants) {
    const { gpu } = resources;
    this.#decoder = decoder;
    this.#rowNorms = rowNorms ?? null;
    this.#resources = resources;
    this.#variants = variants ?? chooseVariants(gpu);
    this.cache = new KvCache(decoder.config, size, gpu);
    const rows = powerOf2(size.rows), { hiddenSize, vocabSize } = decoder.config;
    const inputs = this.#holding("generation inputs", new Uint32Array(INPUTS.length * MOST_TOKENS));
    const part = (i: number) =>
      tensorAt(`generation ${INPUTS[i]}`, [MOST_TOKENS], inputs.buffer!, 4 * i * MOST_TOKENS, "u32");
    this.#inputs = { ids: part(0), positions: part(1), places: part(2), outputs: part(3) };
    this.#spans = new Map(decoder.windows.map((window) => {
      return [window, this.#holding("prompt spans", new Uint32Array(2 * MOST_TOKENS), [MOST_TOKENS, 2])];
    }));
    this.#identity = this.#holding("identity", Uint32Array.from({ length: rows }, (_, i) => i));
    this.#hidden = this.#holding("last hidden", new Float32Array(rows * hiddenSize), [rows, hiddenSize]);
    this.#logits = this.#holding("kept logits", new Float32Array(rows * vocabSize));
    this.#angleBounds = angleBounds(decoder.ropes.keys(), size.length);
    this.#ropes = new Map([...decoder.ropes.keys()].map((rope) => {
      const { cos, sin } = boundedTables(rope, this.#angleBounds), pairs = rope.rotaryDim / 2;
      const shape = [cos.length / pairs, pairs];
      return [rope, { cos: this.#holding("cosines", cos, shape), sin: this.#holding("sines", sin, shape) }];
    }));
  }

  /**
   * Turns keys and queries from now on as rows of up to `longest` tokens are turned.
   *
   * @returns Whether that is another way than before: then keys that the cache holds are of no use.
   */
  turnFor(longest: number): boolean {
    const before = this.#firstAngle;
    this.#firstAngle = firstAngle(this.#angleBounds, longest);
    return this.#firstAngle !== before;
  }

  /**
   * Adds tokens to the cache.
   *
   * @returns Logits [wanted tokens, V], in the order of the tokens.
   * @throws {RangeError} If a token has no place in the cache, or an id none in the vocabulary.
   */
  async run(tokens: readonly PlacedToken[]): Promise<Float32Array<ArrayBuffer>> {
    const wanted = tokens.filter((token) => token.wanted).length;
    if (wanted === 0 || wanted > this.cache.size.rows) {
      throw new RangeError(`Cannot give logits of ${wanted} tokens: 1..${this.cache.size.rows} are possible`);
    }
    await this.#rowNorms?.refresh();
    const outputs = new Map(tokens.filter((token) => token.wanted).map((token, i) => [token, i]));
    for (const pass of passesOf(tokens)) {
      const program = await this.#blocks(pass);
      this.#write(pass, outputs);
      program.run();
    }
    const rows = powerOf2(wanted);
    (await this.#head(rows)).run();
    return await this.#read(rows, wanted);
  }

  destroy(): void {
    this.cache.destroy();
    const { ids } = this.#inputs;
    const tables = [...this.#ropes.values()].flatMap(({ cos, sin }) => [cos, sin]);
    const owned = [ids, ...this.#spans.values(), this.#identity, this.#hidden, this.#logits, ...tables];
    for (const { buffer } of owned) {
      buffer?.destroy();
    }
  }

  /** Uploads the tokens of one pass; `outputs` numbers those whose logits are wanted. */
  #write({ slots, prompts }: Pass, outputs: ReadonlyMap<PlacedToken, number>): void {
    const values = new Uint32Array(INPUTS.length * MOST_TOKENS);
    const [ids, positions, places, rows] = INPUTS.map((_, i) =>
      values.subarray(i * MOST_TOKENS, (i + 1) * MOST_TOKENS)
    ) as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
    places.fill(NO_PLACE);
    rows.fill(NO_ROW);
    const { vocabSize } = this.#decoder.config;
    slots.forEach((token, i) => {
      if (!token) return;
      const { id, row, position } = token;
      if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
        throw new RangeError(`Cannot run token id ${id}: the model knows ids 0..${vocabSize - 1}`);
      }
      ids[i] = id;
      positions[i] = this.#firstAngle + position;
      places[i] = this.cache.placeOf(row, position);
      rows[i] = outputs.get(token) ?? NO_ROW;
    });
    const { queue } = this.#resources.gpu.device;
    queue.writeBuffer(this.#inputs.ids.buffer!, 0, values);
    if (!prompts) return;
    for (const [window, { buffer }] of this.#spans) {
      queue.writeBuffer(buffer!, 0, attentionSpans({ ...prompts, window }));
    }
  }

  /** Blocks for a pass of this shape; leaves the wanted hidden states. */
  #blocks({ slots: { length: size }, prompts }: Pass): Promise<Program> {
    const shape = prompts ? `${prompts.lengths.length}x${prompts.rowLength}` : `${size}`;
    return this.#programOf(`blocks ${shape}`, (run) => {
      const { ids, positions, places, outputs } = this.#inputs;
      const inputs = {
        ids: ids.first([size]),
        positions: positions.first([size]),
        places: places.first([size]),
        prompts: prompts && {
          spans: new Map([...this.#spans].map(([window, spans]) => [window, spans.first([size, 2])])),
          rowLength: prompts.rowLength,
        },
      };
      const x = cachedForward(run, this.#decoder, this.cache, this.#ropes, inputs);
      const sizes = { rows: size, cols: this.#decoder.config.hiddenSize, first: 0 };
      run.dispatch(scatterRows, { y: this.#hidden, x, index: outputs }, sizes);
    });
  }

  /** Norm and head of the first hidden states. */
  #head(rows: number): Promise<Program> {
    return this.#programOf(`head ${rows}`, (run) => {
      const labelled = { index: this.#identity, targets: this.#identity };
      const { shards } = this.#decoder.head.logits(run, this.#hidden, labelled, 0, rows);
      this.#shardCols = shards.map(({ shape }) => shape[1]!);
      let offset = 0;
      for (const shard of shards) {
        run.copy(shard, tensorAt("kept logits", shard.shape, this.#logits.buffer!, offset));
        offset += shard.bytes;
      }
    });
  }

  #programOf(key: string, record: (run: StepRecorder) => void): Promise<Program> {
    let program = this.#programs.get(key);
    if (!program) {
      const run = new StepRecorder(`generate ${key}`, this.#resources, this.#variants);
      record(run);
      program = run.build();
      this.#programs.set(key, program);
    }
    return program;
  }

  /** Logits [wanted, V] from shards [rows, cols] that lie one behind the other. */
  async #read(rows: number, wanted: number): Promise<Float32Array<ArrayBuffer>> {
    const { gpu } = this.#resources;
    const { vocabSize } = this.#decoder.config;
    const values = new Float32Array(await gpu.read(this.#logits.buffer!, 0, 4 * rows * vocabSize));
    if (this.#shardCols.length === 1) return values.subarray(0, wanted * vocabSize);
    const logits = new Float32Array(wanted * vocabSize);
    let first = 0;
    for (const cols of this.#shardCols) {
      for (let r = 0; r < wanted; r++) {
        const from = first * rows + r * cols;
        logits.set(values.subarray(from, from + cols), r * vocabSize + first);
      }
      first += cols;
    }
    return logits;
  }

  #holding(
    label: string,
    values: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
    shape: readonly number[] = [values.length],
  ): Tensor {
    const { device } = this.#resources.gpu;
    const made = tensor(label, shape, values instanceof Float32Array ? "f32" : "u32");
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    made.buffer = device.createBuffer({ label, size: made.bytes, usage });
    device.queue.writeBuffer(made.buffer, 0, values);
    return made;
  }
}
