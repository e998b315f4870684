/**
 * Base models: finding one, checking it against what its config promises, putting it on the GPU with trainable
 * low-rank updates.
 *
 * @module
 */
import { type Adapter, loraKey } from "./checkpoint/adapter.ts";
import { isFloatDtype } from "./checkpoint/float16.ts";
import { matchTargets, type TargetModules } from "./checkpoint/target_modules.ts";
import { WeightFiles } from "./checkpoint/weight_files.ts";
import { ModelFormatError, StorageNotFoundError, UnsupportedModelError } from "./errors.ts";
import type { Gpu } from "./gpu/device.ts";
import { CONFIG_FILE, type ModelConfig, readModelConfig } from "./models/config.ts";
import { type BatchLimits, LoraModel } from "./models/lora_model.ts";
import { checkWeights, linearPaths, MODEL_FAMILIES, type ModelFamily } from "./models/registry.ts";
import type { Variants } from "./nn/variants.ts";
import { initialLoraA, initialLoraB } from "./optim/init.ts";
import type { Folder } from "./storage.ts";

/** A model folder whose description was read and whose files are open. Nothing of it is on the GPU. */
export interface BaseModel {
  /** As the user named it. */
  readonly uri: string;
  readonly folder: Folder;
  readonly config: ModelConfig;
  readonly family: ModelFamily;
  readonly weights: WeightFiles;
}

/** Low-rank updates to train. */
export interface LoraSettings {
  readonly rank: number;
  readonly alpha: number;
  readonly targetModules: TargetModules;
}

/** Values of the parameters to start from. */
export type InitialParameters =
  | { readonly kind: "seed"; readonly seed: number }
  | { readonly kind: "adapter"; readonly adapter: Adapter };

export class ModelManager {
  readonly #files: (uri: string) => Folder;

  /** `files` finds the folder of a model by its uri. */
  constructor(files: (uri: string) => Folder) {
    this.#files = files;
  }

  /**
   * Opens a model folder: config.json and the headers of its weight files.
   *
   * @throws {StorageNotFoundError} If there is no such folder.
   * @throws {UnsupportedModelError} If its kind or element type is not supported.
   * @throws {ModelFormatError} If config.json or a weight file is damaged, or a weight is missing or of another shape
   * than config.json promises.
   */
  async open(uri: string): Promise<BaseModel> {
    const folder = this.#files(uri);
    if (!await folder.exists(CONFIG_FILE)) {
      const files = await folder.list();
      const found = files.length === 0
        ? "is empty or does not exist"
        : `holds ${files.slice(0, 5).join(", ")}`;
      throw new StorageNotFoundError(
        `Cannot find a model at "${uri}": the folder ${found}, and a model folder holds ${CONFIG_FILE}, tokenizer.json and model.safetensors`,
      );
    }
    const config = await readModelConfig(folder);
    const family = MODEL_FAMILIES.get(config.modelType)!; // readModelConfig refuses others
    const base = { uri, folder, config, family, weights: await WeightFiles.open(folder) };
    try {
      checkWeights(family, config, base.weights.infos, uri);
      checkElementTypes(base);
    } catch (error) {
      await base.weights.close();
      throw error;
    }
    return base;
  }

  /**
   * Plans the model with its updates for batches up to `limits`; takes no GPU memory.
   *
   * @throws {RangeError} If a target is no linear map of the model or the rank is too large.
   */
  plan(
    base: BaseModel,
    lora: LoraSettings | null,
    { gpu, variants, limits }: { gpu: Gpu; variants: Variants; limits: BatchLimits },
  ): LoraModel {
    const paths = linearPaths(base.family, base.config.numHiddenLayers);
    const spec = lora && {
      targets: new Set(matchTargets(lora.targetModules, paths)),
      rank: lora.rank,
      scaling: lora.alpha / lora.rank,
      nameOf: loraKey,
    };
    return new LoraModel(base.config, base.family, spec, { gpu, variants, limits });
  }

  /** Sets every trainable parameter: drawn by seed, or from an adapter. The model must be allocated. */
  initialise(model: LoraModel, initial: InitialParameters): void {
    for (const parameter of model.pool.parameters) {
      const [first, second] = parameter.value.shape as [number, number];
      if (initial.kind === "adapter") {
        model.pool.write(parameter, adapterValues(initial.adapter, parameter.name, [first, second]));
      } else if (parameter.name.includes(".lora_A.")) {
        model.pool.write(parameter, initialLoraA(parameter.name, first, second, initial.seed));
      } else model.pool.write(parameter, initialLoraB(first, second));
    }
  }

  /** Number of the base model's parameters, as its files hold them. */
  static countParameters({ weights }: BaseModel): number {
    return [...weights.infos.values()].reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }
}

/** Refuses element types that are not read as f32. */
function checkElementTypes({ weights, uri }: BaseModel): void {
  for (const { name, dtype } of weights.infos.values()) {
    if (!isFloatDtype(dtype)) {
      throw new UnsupportedModelError(
        `Cannot use the model at "${uri}": tensor "${name}" is ${dtype}, and F32, F16 and BF16 are supported`,
      );
    }
  }
}

function adapterValues(adapter: Adapter, name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const tensor = adapter.tensors.get(name);
  if (!tensor || tensor.shape.join() !== shape.join()) {
    const found = tensor ? `has shape [${tensor.shape}]` : "is missing";
    throw new ModelFormatError(
      `Cannot continue from the adapter: tensor "${name}" ${found} and this model asks for [${shape}]`,
    );
  }
  return new Float32Array(tensor.data);
}
