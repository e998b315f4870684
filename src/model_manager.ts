/**
 * Base models: finding one, checking it against what its config promises, putting it on the GPU with trainable
 * low-rank updates.
 *
 * @module
 */
import { BF16, F16 } from "../kernels/packed/kernel.ts";
import { BitsandbytesWeights, isBitsandbytes } from "./checkpoint/bitsandbytes.ts";
import { QuantizedWeights } from "./checkpoint/quantized_weights.ts";
import { isPacked, type WeightSource } from "./models/decoder_weights.ts";
import type { QuantizationConfig } from "./config.ts";
import { type Adapter, loraKey } from "./checkpoint/adapter.ts";
import { isGgufName, openGgufModel } from "./checkpoint/gguf_model.ts";
import type { LoraSettings } from "./checkpoint/lora_settings.ts";
import { type ModelWeights, WeightFiles } from "./checkpoint/weight_files.ts";
import { ConfigError, ModelFormatError, StorageNotFoundError, UnsupportedModelError } from "./errors.ts";
import { logger } from "./logger.ts";
import { CONFIG_FILE, type ModelConfig, readModelConfig } from "./models/config.ts";
import type { FindModel, FindModelOptions, FoundModel } from "./model_manager/find_model.ts";
import { checkTargets, loraTargets, wholeNames } from "./model_manager/lora_targets.ts";
import { type ModelDevice, TrainableModel } from "./models/trainable_model.ts";
import {
  checkWeights,
  linearPaths,
  MODEL_FAMILIES,
  type ModelFamilies,
  type ModelFamily,
  namedAs,
  ownPath,
  weightShapes,
} from "./models/registry.ts";
import { isDecomposed } from "./optim/decomposed_init.ts";
import { type DrawnInit, initialLoraA, initialLoraB } from "./optim/init.ts";
import { isFloatDtype } from "./quant/float16.ts";
import { fileAt, type ReadableFolder } from "./storage.ts";

export { mergeParts, withWholeTensors } from "./model_manager/whole_tensors.ts";
export type { FindModel, FindModelOptions, FoundModel } from "./model_manager/find_model.ts";
export { loraTargets } from "./model_manager/lora_targets.ts";
export type { LoraSettings } from "./checkpoint/lora_settings.ts";

/** A model whose description was read and whose files are open. Nothing of it is on the GPU. */
export interface BaseModel {
  /** As the user named it; one on the Hub by its name there. */
  readonly uri: string;
  /** The files that describe it; of a GGUF file, those that it was made from. */
  readonly folder: ReadableFolder;
  /** What config.json says, checked. */
  readonly config: ModelConfig;
  /** How the model's parts are put together. */
  readonly family: ModelFamily;
  /** Its open files. */
  readonly weights: ModelWeights;
}

/**
 * Of a model what a plan needs: what it is, and where its values come from.
 *
 * @internal
 */
export type PlannedModel = Pick<BaseModel, "config" | "family"> & { readonly weights: WeightSource };

/** Values of the parameters to start from. */
export type InitialParameters =
  | {
    readonly kind: "seed";
    readonly seed: number;
    /** Default true. */
    readonly init?: DrawnInit;
    /** Values that are not drawn, by the names of the parameters. */
    readonly given?: ReadonlyMap<string, Float32Array>;
  }
  | { readonly kind: "adapter"; readonly adapter: Adapter };

/** Finds models, checks them, and makes them ready to train. */
export class ModelManager {
  readonly #find: FindModel;
  readonly #families: ModelFamilies;

  /**
   * Opens nothing yet.
   *
   * @param files Opens the folder of a model by its uri.
   * @param find Finds a model by its name, wherever it is. Default: the name is the uri of a folder or of a GGUF file.
   * @param families Those that a model may be of; default the ones that come with Lowrank.
   */
  constructor(
    files: (uri: string) => ReadableFolder,
    find: FindModel = findAt(files),
    families: ModelFamilies = MODEL_FAMILIES,
  ) {
    this.#families = families;
    this.#find = find;
  }

  /**
   * Opens a model folder, config.json and the headers of its weight files, or a GGUF file. What has to be downloaded for
   * it is.
   *
   * @throws {StorageNotFoundError} If there is no such folder or file.
   * @throws {UnsupportedModelError} If its kind or element type is not supported.
   * @throws {ModelFormatError} If config.json or a weight file is damaged, or a weight is missing or of another shape
   * than config.json promises.
   */
  async open(uri: string, options: FindModelOptions = {}): Promise<BaseModel> {
    const { name, folder, file } = await this.#find(uri, options);
    if (file !== null) {
      const gguf = await openGgufModel(folder, file);
      return await checked(name, gguf.folder, gguf.weights, this.#families);
    }
    if (!await folder.exists(CONFIG_FILE)) throw noModel(name, await folder.list());
    return await checked(name, folder, null, this.#families);
  }

  /**
   * Checks, before a GPU is needed, that the updates that a user asks for can be put on the model.
   *
   * @throws {ConfigError} If an entry means no module of the model, a rank is larger than a map's smaller side, or a start
   * would change a quantised base.
   */
  static checkLora(base: BaseModel, lora: LoraSettings): void {
    const packing = ModelManager.packing(base);
    if (isDecomposed(lora.init) && packing !== null) {
      const message =
        `cannot take a part out of "${base.uri}", whose weights are in ${packing}: what is left would be ` +
        `quantised anew; current value is ${lora.init}`;
      throw new ConfigError([{ path: "init_lora_weights", message }]);
    }
    checkTargets(base, lora);
  }

  /**
   * Plans the model with what is trained of it (updates, all weights, nothing) for batches up to `limits`; takes no GPU
   * memory.
   *
   * @throws {ConfigError} If a target is no linear map of the model. @throws {RangeError} If the rank is too large.
   */
  plan(base: PlannedModel, lora: LoraSettings | "all" | null, device: ModelDevice): TrainableModel {
    if (lora === "all") return new TrainableModel(base.config, base.family, "all", device);
    const targets = lora && loraTargets(base, lora);
    const spec = lora && targets && {
      targets,
      nameOf: loraKey,
      dora: lora.useDora ?? false,
      dropout: lora.dropout ?? 0,
      wholeNameOf: wholeNames(lora, targets),
    };
    const { weights } = base;
    const formatOf = isPacked(weights) ? (name: string) => weights.formatOf(name) : undefined;
    return new TrainableModel(base.config, base.family, spec, { ...device, formatOf });
  }

  /**
   * The same model with its linear maps quantised as they are read.
   *
   * @throws {ConfigError} If the model is quantised already.
   */
  static quantized(
    base: BaseModel,
    { loadIn4bit, loadIn8bit, doubleQuant }: Pick<
      QuantizationConfig,
      "loadIn4bit" | "loadIn8bit" | "doubleQuant"
    >,
  ): BaseModel {
    if (!loadIn4bit && !loadIn8bit) return base;
    const { config, family, weights, uri } = base;
    const names = linearPaths(family, config.numHiddenLayers).map((path) => `${path}.weight`);
    const quantised = ModelManager.packing(base);
    if (quantised !== null) {
      const path = loadIn4bit ? "load_in_4bit" : "load_in_8bit";
      const message =
        `cannot be set for "${uri}": its weights are in ${quantised} already; leave quantization at none`;
      throw new ConfigError([{ path, message }]);
    }
    const how = loadIn8bit ? "int8" : doubleQuant ? "nf4_double" : "nf4";
    return { ...base, weights: new QuantizedWeights(weights, how, names) };
  }

  /** Name of the format that linear maps are quantised in, the first one's where they differ; null for floats. */
  static packing({ config, family, weights }: BaseModel): string | null {
    if (!isPacked(weights)) return null;
    for (const path of linearPaths(family, config.numHiddenLayers)) {
      const format = weights.formatOf(`${path}.weight`);
      if (format !== null && format !== F16 && format !== BF16) return format.name;
    }
    return null;
  }

  /** An adapter with the names that this base's files have, where those of PEFT's modules differ. */
  static named({ family }: Pick<BaseModel, "family">, { config, tensors }: Adapter): Adapter {
    const { targetModules: targets } = config, prefix = "base_model.model.";
    const named = (key: string) => prefix + ownPath(family, key.slice(prefix.length));
    return {
      config: {
        ...config,
        targetModules: Array.isArray(targets) ? targets.map((path) => ownPath(family, path)) : targets,
      },
      tensors: new Map([...tensors].map(([key, values]) => [named(key), values])),
    };
  }

  /**
   * Checks that an adapter is one of this model: the same tensors, no more and no less. The model need not be allocated.
   *
   * @throws {ModelFormatError} If a tensor is missing, has another shape, or belongs to no map of the model.
   */
  static checkAdapter(model: TrainableModel, { tensors }: Adapter): void {
    const fail = (problem: string) =>
      new ModelFormatError(
        `Cannot continue from the adapter: tensor ${problem}; take the base model that it was trained on`,
      );
    const names = new Set<string>();
    for (const { name, value: { shape } } of model.pool.parameters) {
      const found = tensors.get(name)?.shape;
      if (!found) throw fail(`"${name}" is missing`);
      if (found.join() !== shape.join()) {
        throw fail(`"${name}" is [${found.join(", ")}] and this model asks for [${shape.join(", ")}]`);
      }
      names.add(name);
    }
    for (const name of tensors.keys()) {
      if (!names.has(name)) throw fail(`"${name}" belongs to no targeted map of this model`);
    }
  }

  /**
   * Sets every trainable parameter: drawn by seed, or from an adapter. The model must be loaded: magnitudes begin as the
   * norms of its weights.
   *
   * @throws {ModelFormatError} As {@link ModelManager.checkAdapter}.
   */
  async initialise(model: TrainableModel, initial: InitialParameters): Promise<void> {
    if (initial.kind === "adapter") ModelManager.checkAdapter(model, initial.adapter);
    for (const parameter of model.pool.parameters) {
      const [first, second] = parameter.value.shape as [number, number];
      if (initial.kind === "adapter") {
        model.pool.write(parameter, new Float32Array(initial.adapter.tensors.get(parameter.name)!.data));
        continue;
      }
      const { seed, init = true, given } = initial, { name } = parameter;
      if (!/\.lora_[AB]\./.test(name)) continue; // trained itself, from what the base has
      const values = given?.get(name), draw = { init, name, seed };
      if (values) model.pool.write(parameter, new Float32Array(values));
      else if (name.includes(".lora_A.")) model.pool.write(parameter, initialLoraA(draw, first, second));
      else model.pool.write(parameter, initialLoraB(draw, first, second));
    }
    if (initial.kind === "seed") await model.rowNorms.start();
  }

  /** Number of the base model's parameters, as its files hold them. */
  static countParameters({ weights }: BaseModel): number {
    return [...weights.infos.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }
}

/** Takes names for uris. */
function findAt(files: (uri: string) => ReadableFolder): FindModel {
  return (name): Promise<FoundModel> => {
    if (!isGgufName(name)) return Promise.resolve({ name, folder: files(name), file: null });
    const { folder, name: file } = fileAt(files, name);
    return Promise.resolve({ name, folder, file });
  };
}

/** Reads the description, then opens the weights unless they are; closes them where the two contradict each other. */
async function checked(
  uri: string,
  folder: ReadableFolder,
  weights: ModelWeights | null,
  families: ModelFamilies,
): Promise<BaseModel> {
  let opened = weights;
  try {
    const config = await readModelConfig(folder, families);
    opened ??= await WeightFiles.open(folder);
    if (isBitsandbytes(opened.infos)) opened = await BitsandbytesWeights.open(opened);
    const family = namedAs(families.get(config.modelType)!, opened.infos); // readModelConfig refuses others
    const base = { uri, folder, config, family, weights: opened };
    checkWeights(family, config, opened.infos, uri);
    checkElementTypes(base);
    checkHeads(base);
    const { size: tensors } = opened.infos;
    const facts = { uri, modelType: config.modelType, tensors, blocks: config.numHiddenLayers };
    logger("model").info("base model {uri}: {modelType}, {blocks} blocks, {tensors} tensors", facts);
    return base;
  } catch (error) {
    await opened?.close();
    throw error;
  }
}

function noModel(uri: string, files: readonly string[]): StorageNotFoundError {
  const found = files.length === 0 ? "is empty or does not exist" : `holds ${files.slice(0, 5).join(", ")}`;
  const gguf = files.find(isGgufName);
  return new StorageNotFoundError(
    `Cannot find a model at "${uri}": the folder ${found}, and a model folder holds ${CONFIG_FILE}, tokenizer.json ` +
      `and model.safetensors${
        gguf ? `; to take the GGUF file, name it: "${uri.replace(/\/$/, "")}/${gguf}"` : ""
      }`,
  );
}

/** Attention reads four columns of a head at a time. */
function checkHeads({ config: { headDim }, uri }: BaseModel): void {
  if (headDim % 4 === 0) return;
  throw new UnsupportedModelError(
    `Cannot use the model at "${uri}": its heads are ${headDim} wide, and multiples of 4 are supported`,
  );
}

/** Refuses element types that are not read as f32. What a checkpoint holds beside the model is never read. */
function checkElementTypes({ family, config, weights, uri }: BaseModel): void {
  for (const name of weightShapes(family, config).keys()) {
    const { dtype } = weights.infos.get(name)!;
    if (!isFloatDtype(dtype)) {
      throw new UnsupportedModelError(
        `Cannot use the model at "${uri}": tensor "${name}" is ${dtype}, and F32, F16 and BF16 are supported`,
      );
    }
  }
}
