/**
 * The updates that a run trains or an adapter holds: from a configuration, from an adapter, and back into one.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../config.ts";
import { type LoraKind, loraKindOf } from "../config/lora_kind.ts";
import type { Adapter, AdapterConfig } from "./adapter.ts";
import { isAllLinear, type PathPattern, type TargetRules, targetRulesOf } from "./target_modules.ts";

/** Low-rank updates to train. */
export interface LoraSettings extends TargetRules, LoraKind {
  /** Rank r of B·A. */
  readonly rank: number;
  /** Strength; only alpha / rank matters. */
  readonly alpha: number;
  /** Share of each update's input that a training step leaves out; default 0. */
  readonly dropout?: number;
  /** PEFT's `init_lora_weights`; default true. */
  readonly init?: boolean | string;
}

/** What a run trains: an adapter to continue from brings its own rank, alpha, kind and targets; dropout is the run's. */
export function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  const { r: rank, alpha, dropout, initLoraWeights } = lora;
  if (start) return { ...adapterSettings(start), dropout };
  return { rank, alpha, dropout, ...initOf(initLoraWeights), ...targetRulesOf(lora), ...loraKindOf(lora) };
}

/** What an adapter holds. */
export function adapterSettings({ config }: Pick<Adapter, "config">): LoraSettings {
  const { rank, alpha, init } = config;
  return { rank, alpha, ...initOf(init), ...targetRulesOf(config), ...loraKindOf(config) };
}

/**
 * The settings as an adapter's file says them. PEFT takes layers to transform for lists of names only: all-linear is spelt
 * out then.
 *
 * @param rules Those of the settings, or others that mean the same.
 * @param mapNames Names of the model's linear maps, without what stands before.
 */
export function savedSettings(
  { rank, alpha, init, ...kind }: LoraSettings,
  rules: TargetRules,
  mapNames: readonly string[],
): Omit<AdapterConfig, "baseModel" | "dropout"> {
  const { targetModules } = rules;
  const isSpeltOut = rules.layersToTransform && isAllLinear(targetModules);
  const spelt = { ...rules, targetModules: isSpeltOut ? mapNames : targetModules };
  return { rank, alpha, ...initOf(init), ...targetRulesOf(spelt), ...loraKindOf(kind) };
}

/** What is special about which maps have an update, and of what rank, by PEFT's names: `rank_pattern q_proj=4`. */
export function ruleNotes(rules: TargetRules): string[] {
  const { excludeModules, layersToTransform, layersPattern, ...others } = targetRulesOf(rules);
  const { rankPattern, alphaPattern, modulesToSave } = others;
  const notes = {
    exclude_modules: excludeModules && [excludeModules].flat().toSorted(),
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    rank_pattern: rankPattern && pairs(rankPattern),
    alpha_pattern: alphaPattern && pairs(alphaPattern),
    modules_to_save: modulesToSave?.toSorted(),
  };
  return Object.entries(notes).flatMap(([name, values]) => values ? [`${name} ${values.join(", ")}`] : []);
}

/** PEFT's default is left out. */
function initOf(init: boolean | string | undefined): { init?: boolean | string } {
  return init === undefined || init === true ? {} : { init };
}

function pairs(pattern: PathPattern): string[] {
  return Object.entries(pattern).map(([key, value]) => `${key}=${value}`);
}
