/**
 * A base model, with an adapter or without, ready to write.
 *
 * @module
 */
import { type Adapter, readAdapter } from "./checkpoint/adapter.ts";
import { adapterSettings } from "./checkpoint/lora_settings.ts";
import { ChatTemplate } from "./data/chat_template.ts";
import type { Message } from "./data/formats.ts";
import type { ExampleRows } from "./data/token_rows.ts";
import { Tokenizer } from "./data/tokenizer.ts";
import type { QuantizationWord } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { cacheBytes, type CacheSize } from "./generate/kv_cache.ts";
import { Generator } from "./generate/generator.ts";
import { chatPrompt, readStopTokens, textPrompt } from "./generate/prompt.ts";
import { generateText, type TextOptions, type TextPiece } from "./generate/text.ts";
import { type Gpu, openGpu, type OpenGpuOptions } from "./gpu/device.ts";
import { PipelineCache } from "./gpu/pipelines.ts";
import { type BaseModel, type FindModel, ModelManager } from "./model_manager.ts";
import type { BatchLimits, ModelDevice, TrainableModel } from "./models/trainable_model.ts";
import { chooseVariants } from "./nn/variants.ts";
import { type Plugin, withPlugins } from "./plugin.ts";
import type { ReadableFolder } from "./storage.ts";
import { type EvalResult, measureRows } from "./trainer/measure.ts";

/** What {@link LanguageModel.open} needs. */
export interface LanguageModelOptions {
  /** Opens a folder by its uri. */
  readonly files: (uri: string) => ReadableFolder;
  /** Folder of the base model, or a GGUF file, whose weights stay as they are packed; or a name that `findModel` knows. */
  readonly model: string;
  /** Finds models by their names; default: a name is the uri of a folder or a GGUF file. */
  readonly findModel?: FindModel;
  /** Plugins, loaded: a model may be of a family that they bring. Default: none. */
  readonly plugins?: readonly Plugin[];
  /** Folder of an adapter that was trained on it; default none. */
  readonly adapter?: string | null;
  /**
   * How linear maps of the base are kept: as they are, in NF4 with double quantisation, or in int8. An adapter answers best
   * on what it was trained on. Default none.
   */
  readonly quantization?: QuantizationWord;
  /** Whether NF4's scales are quantised too; default true. */
  readonly doubleQuant?: boolean;
  /** Jinja; default the tokenizer's own. */
  readonly chatTemplate?: string | null;
  /** The largest batch that `measure()` will run; default one row of one token. */
  readonly limits?: BatchLimits;
  /** How the GPU is opened. */
  readonly gpu?: OpenGpuOptions;
  /** An open GPU, which stays open. Default: one of the model's own. */
  readonly device?: { readonly gpu: Gpu; readonly pipelines: PipelineCache };
}

/** Prompts continued side by side at most; more come one batch after the other. */
const MOST_ROWS = 64;
/** What caches of several rows may take together, bytes. */
const CACHE_BYTES = 2 ** 30;
/** Caches grow in steps of this many tokens. */
const LENGTH_STEP = 256;

/** What adapters are exchanged on. */
interface Exchange {
  readonly manager: ModelManager;
  readonly files: LanguageModelOptions["files"];
  readonly base: BaseModel;
  readonly on: LoadDevice;
  /** The base alone, loaded. */
  readonly model: TrainableModel;
}

type LoadDevice = Pick<ModelDevice, "gpu" | "limits"> & { readonly pipelines: PipelineCache };

/** A model that writes: base, adapter and tokenizer on an open GPU. */
export class LanguageModel {
  /** The model's own. */
  readonly tokenizer: Tokenizer;
  /** Null for a model without one. */
  readonly chatTemplate: ChatTemplate | null;
  /** Where it computes. */
  readonly gpu: Gpu;
  /** Tokens of the longest text that the model knows positions for. */
  readonly contextLength: number;
  /** Tokens that end an answer. */
  readonly stopTokenIds: ReadonlySet<number>;
  readonly #ownsGpu: boolean;
  readonly #exchange: Exchange | null;
  #model: TrainableModel;
  #generator: Generator | null = null;

  private constructor(
    model: TrainableModel,
    tokenizer: Tokenizer,
    chatTemplate: ChatTemplate | null,
    stopTokenIds: ReadonlySet<number>,
    ownsGpu: boolean,
    exchange: Exchange | null,
  ) {
    this.tokenizer = tokenizer;
    this.chatTemplate = chatTemplate;
    this.stopTokenIds = stopTokenIds;
    this.contextLength = model.decoder.config.maxPositionEmbeddings;
    this.gpu = model.resources.gpu;
    this.#model = model;
    this.#ownsGpu = ownsGpu;
    this.#exchange = exchange;
  }

  /**
   * Loads everything onto the GPU.
   *
   * @throws {ConfigError} If a model is to be quantised that is quantised already, or a plugin cannot be used.
   * @throws {StorageNotFoundError} @throws {ModelFormatError} @throws {UnsupportedModelError} If the model or the adapter
   * cannot be used, or do not belong together.
   * @throws {GpuUnavailableError} @throws {GpuMemoryError} If there is no usable GPU or the model will not fit.
   */
  static async open(options: LanguageModelOptions): Promise<LanguageModel> {
    const { files, device } = options, { modelFamilies } = withPlugins(options.plugins ?? []);
    const manager = new ModelManager(files, options.findModel, modelFamilies);
    const opened = await manager.open(options.model);
    let gpu: Gpu | null = null;
    try {
      const base = ModelManager.quantized(opened, {
        loadIn4bit: options.quantization === "4bit",
        loadIn8bit: options.quantization === "8bit",
        doubleQuant: options.doubleQuant ?? true,
      });
      const tokenizer = await Tokenizer.load(base.folder);
      const source = options.chatTemplate ?? tokenizer.chatTemplate;
      const template = source === null ? null : new ChatTemplate(source, tokenizer);
      const stops = await readStopTokens(base.folder, base.config, tokenizer, template);
      const read = options.adapter ? await readAdapter(files(options.adapter)) : null;
      const adapter = read && ModelManager.named(base, read);
      gpu = device?.gpu ?? await openGpu(options.gpu);
      const { limits = { rows: 1, length: 1 } } = options;
      const on = { gpu, pipelines: device?.pipelines ?? new PipelineCache(gpu), limits };
      const model = await load(manager, base, adapter, on);
      const exchange = adapter ? null : { manager, files, base, on, model };
      return new LanguageModel(model, tokenizer, template, stops, !device, exchange);
    } catch (error) {
      if (!device) await gpu?.close();
      throw error;
    } finally {
      await opened.weights.close();
    }
  }

  /**
   * Puts an adapter on the base in place of the one before, or takes it off. The base's weights stay where they are: only
   * the adapter is read. Nothing may be generated or measured meanwhile; what is refused leaves all as it was.
   *
   * @param adapter Folder of an adapter that was trained on this base; null for the base alone.
   * @throws {TypeError} If the model was opened with an adapter of its own.
   * @throws {StorageNotFoundError} @throws {ModelFormatError} @throws {UnsupportedModelError} If there is no such adapter,
   * or it belongs to another model.
   * @throws {GpuMemoryError} If it will not fit beside the one before.
   */
  async useAdapter(adapter: string | null): Promise<void> {
    const exchange = this.#exchange;
    if (!exchange) {
      throw new TypeError("Cannot exchange the adapter of a model that was opened with it: open it without");
    }
    const { files, base } = exchange;
    const read = adapter === null ? null : ModelManager.named(base, await readAdapter(files(adapter)));
    const next = read ? await adapted(exchange, read) : exchange.model;
    await this.gpu.settle().catch(() => {}); // a stopped answer leaves work behind
    this.#generator?.destroy();
    this.#generator = null;
    if (this.#model !== exchange.model) this.#model.destroy();
    this.#model = next;
  }

  /**
   * Token ids of a text to go on from, or of a conversation to answer.
   *
   * @throws {ConfigError} If the model has no chat template. @throws {ChatTemplateError} If it refuses the conversation.
   */
  promptOf(input: string | readonly Message[]): number[] {
    if (typeof input === "string") return textPrompt(this.tokenizer, input);
    if (this.chatTemplate) return chatPrompt(this.tokenizer, this.chatTemplate, input);
    throw new ConfigError([{
      path: "chat_template",
      message: "is missing: the model's tokenizer has none; give one, or generate from plain text",
    }]);
  }

  /**
   * Continues prompts, `row` being the prompt's number: as many side by side as memory allows, the others after them. Ends
   * at the model's own stop tokens unless others are given.
   *
   * @throws {ConfigError} If a prompt leaves no room in the model's context, or an option is out of its range.
   * @throws {DivergedError} If a logit is not a finite number.
   */
  async *generate(
    prompts: readonly (readonly number[])[],
    options: TextOptions = {},
  ): AsyncGenerator<TextPiece> {
    const { maxNewTokens = 256, stopTokenIds = this.stopTokenIds } = options;
    const longest = this.#checkedLength(prompts);
    const generator = this.#generatorFor(prompts.length, longest + maxNewTokens);
    const { rows } = generator.size;
    for (let first = 0; first < prompts.length; first += rows) {
      const batch = prompts.slice(first, first + rows);
      const pieces = generateText(generator, this.tokenizer, batch, {
        ...options,
        maxNewTokens,
        stopTokenIds,
      });
      for await (const piece of pieces) yield { ...piece, row: first + piece.row };
    }
  }

  /**
   * Loss and token accuracy of rows, `batchRows` at a time; yields the rows done so far.
   *
   * @returns Null where a logit or the loss is not finite.
   * @throws {RangeError} If a batch is larger than the `limits` that the model was opened with.
   * @throws The signal's reason, between batches, when it is aborted.
   */
  measure(
    rows: ExampleRows,
    batchRows: number,
    signal?: AbortSignal,
  ): AsyncGenerator<number, EvalResult | null> {
    const source = { rows, packs: null, padId: this.tokenizer.padTokenId };
    return measureRows(this.#model, source, { batchRows, signal });
  }

  /** Gives the GPU memory back, and the GPU unless it was given. */
  async close(): Promise<void> {
    await this.gpu.settle().catch(() => {}); // a stopped answer leaves work behind
    this.#generator?.destroy();
    this.#model.destroy();
    if (this.#exchange && this.#model !== this.#exchange.model) this.#exchange.model.destroy();
    if (this.#ownsGpu) await this.gpu.close();
  }

  #checkedLength(prompts: readonly (readonly number[])[]): number {
    const issues = prompts.flatMap(({ length }, i) => {
      if (length >= 1 && length <= this.contextLength) return [];
      const wanted = `1..${this.contextLength} are possible with this model`;
      return [{ path: "prompt", message: `number ${i + 1} has ${length} tokens, ${wanted}` }];
    });
    if (issues.length > 0) throw new ConfigError(issues);
    return prompts.reduce((most, { length }) => Math.max(most, length), 1);
  }

  /** The generator at hand if it is large enough; a larger one begins with an empty cache. */
  #generatorFor(prompts: number, tokens: number): Generator {
    const length = Math.min(this.contextLength, Math.ceil(tokens / LENGTH_STEP) * LENGTH_STEP);
    const rows = this.#rowsOf(length, prompts);
    const size = this.#generator?.size;
    if (this.#generator && size!.rows >= rows && size!.length >= Math.min(tokens, length)) {
      return this.#generator;
    }
    this.#generator?.destroy();
    this.#generator = null; // its memory is free before the next one takes its own
    return this.#generator = new Generator(this.#model, { rows, length });
  }

  #rowsOf(length: number, prompts: number): number {
    const { config } = this.#model.decoder, one: CacheSize = { rows: 1, length };
    const { maxStorageBufferBindingSize: binding } = this.gpu.limits;
    const perRow = cacheBytes(config, one), perLayer = perRow / (2 * config.numHiddenLayers);
    const fitting = Math.floor(Math.min(CACHE_BYTES / perRow, binding / perLayer));
    return Math.max(1, Math.min(prompts, MOST_ROWS, fitting));
  }
}

async function load(
  manager: ModelManager,
  base: BaseModel,
  adapter: Adapter | null,
  on: LoadDevice,
): Promise<TrainableModel> {
  const model = manager.plan(base, adapter && adapterSettings(adapter), {
    ...on,
    variants: chooseVariants(on.gpu),
  });
  try {
    if (adapter) ModelManager.checkAdapter(model, adapter);
    model.allocate();
    await model.decoder.load(base.weights);
    if (adapter) await manager.initialise(model, { kind: "adapter", adapter });
    on.gpu.check();
    return model;
  } catch (error) {
    model.destroy();
    throw error;
  }
}

/** A loaded base with an adapter's updates, which are all that takes memory anew. */
async function adapted(
  { manager, base, on, model: loaded }: Exchange,
  adapter: Adapter,
): Promise<TrainableModel> {
  const model = manager.plan(base, adapterSettings(adapter), {
    ...on,
    variants: chooseVariants(on.gpu),
    loaded,
  });
  try {
    ModelManager.checkAdapter(model, adapter);
    model.pool.momentCount = 0; // nothing is trained
    model.allocate();
    model.decoder.loadTables();
    await manager.initialise(model, { kind: "adapter", adapter });
    on.gpu.check();
    return model;
  } catch (error) {
    model.destroy();
    throw error;
  }
}
