/**
 * The updates that settings put on a model, and the modules beside them that are trained themselves.
 *
 * @module
 */
import { biasKey, wholeKey } from "../checkpoint/adapter.ts";
import type { LoraSettings } from "../checkpoint/lora_settings.ts";
import { targetIssues } from "../checkpoint/target_issues.ts";
import {
  isSavedWhole,
  matchTargets,
  patternKey,
  strengthOf,
  type TargetRules,
} from "../checkpoint/target_modules.ts";
import { ConfigError } from "../errors.ts";
import type { BaseModel } from "../model_manager.ts";
import type { LoraTarget } from "../models/lora_spec.ts";
import { linearPaths, modulePaths, weightShapes } from "../models/registry.ts";

type Model = Pick<BaseModel, "family" | "config">;

/** The targeted maps, each with its rank and scaling. @throws {ConfigError} If the rules mean none. */
export function loraTargets(model: Model, lora: LoraSettings): ReadonlyMap<string, LoraTarget> {
  return new Map(targetPaths(model, lora).map((path) => [path, strengthOf(lora, path)]));
}

/**
 * Checks what a user asks for.
 *
 * @throws {ConfigError} If an entry means no module of the model, a rank is larger than a map's smaller side, or biases are
 * to be trained where there are none.
 */
export function checkTargets({ family, config }: Model, lora: LoraSettings): void {
  const paths = linearPaths(family, config.numHiddenLayers);
  const issues = targetIssues(lora, paths, modulePaths(family, config));
  if (issues.length > 0) throw new ConfigError(issues);
  const shapes = weightShapes(family, config);
  for (const path of matchTargets(lora, paths)) {
    const most = Math.min(...shapes.get(`${path}.weight`)!), { rank } = strengthOf(lora, path);
    if (rank <= most) continue;
    throw new ConfigError([{
      path: patternKey(lora.rankPattern, path) === null ? "lora_r" : "rank_pattern",
      message: `must be at most ${most}, the smaller side of "${path}": current value is ${rank}`,
    }]);
  }
  checkBiases({ family, config }, lora);
}

/** A family without biases would train without a word what was not asked for. */
function checkBiases(model: Model, lora: LoraSettings): void {
  const { bias = "none" } = lora;
  if (bias === "none") return;
  const nameOf = wholeNames({ ...lora, modulesToSave: [] }, loraTargets(model, lora));
  const tensors = [...weightShapes(model.family, model.config).keys()];
  if (tensors.some((name) => nameOf(name) !== null)) return;
  const maps = bias === "all" ? "no linear map of this model" : "no map with an update";
  throw new ConfigError([{
    path: "bias",
    message: `must be none as ${maps} has a bias: current value is ${bias}`,
  }]);
}

/**
 * Names in an adapter of tensors that are trained themselves, modules and biases; null for other tensors.
 *
 * @param targets By path, the maps that have an update.
 */
export function wholeNames(
  lora: LoraSettings,
  targets: ReadonlyMap<string, LoraTarget>,
): (tensor: string) => string | null {
  const { bias = "none" } = lora;
  return (tensor) => {
    const path = tensor.replace(/\.(weight|bias)$/, ""), hasUpdate = targets.has(path);
    if (isSavedWhole(lora, path)) return wholeKey(tensor);
    const isTrained = tensor.endsWith(".bias") && (bias === "all" || (bias === "lora_only" && hasUpdate));
    return isTrained ? biasKey(path, hasUpdate) : null;
  };
}

function targetPaths({ family, config }: Model, rules: TargetRules): string[] {
  try {
    return matchTargets(rules, linearPaths(family, config.numHiddenLayers));
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof SyntaxError)) throw error;
    throw new ConfigError([{ path: "target_modules", message: error.message }]);
  }
}
