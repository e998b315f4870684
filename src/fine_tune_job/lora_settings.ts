/**
 * The low-rank update that a run trains: as configured, or as the adapter that it continues from has it.
 *
 * @module
 */
import type { Adapter } from "../checkpoint/adapter.ts";
import { CONFIG_FIELDS, type FineTuneJobConfig } from "../config.ts";
import { loraKindOf } from "../config/lora_kind.ts";
import type { LoraSettings } from "../model_manager.ts";

/** An adapter to continue from brings its own rank, alpha, kind and targets; dropout is the run's. */
export function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  const { dropout, targetModules: targets } = lora;
  if (!start) {
    return { rank: lora.r, alpha: lora.alpha, dropout, targetModules: targets, ...loraKindOf(lora) };
  }
  const { rank, alpha, targetModules } = start.config;
  const pathOf = (key: string) =>
    key.replace(/^base_model\.model\.|\.lora_(?:[AB]\.weight|magnitude_vector)$/g, "");
  return {
    rank,
    alpha,
    dropout,
    targetModules: targetModules ?? [...new Set([...start.tensors.keys()].map(pathOf))],
    ...loraKindOf(start.config),
  };
}

/**
 * A warning for each option that was set to something else than the adapter to continue from has. One at its default may
 * not have been set at all.
 */
export function overruledOptions(
  { lora, job: { adapterPath } }: FineTuneJobConfig,
  { rank, alpha, targetModules, ...kind }: LoraSettings,
): string[] {
  if (adapterPath === null) return [];
  const options = [
    ["lora_r", lora.r, rank],
    ["lora_alpha", lora.alpha, alpha],
    ["use_rslora", lora.useRslora, kind.useRslora],
    ["use_dora", lora.useDora, kind.useDora],
    ["target_modules", named(lora.targetModules), named(targetModules)],
  ] as const;
  return options.flatMap(([name, given, taken]) => {
    const unset = CONFIG_FIELDS.find(({ wireName }) => wireName === name)!.default;
    if (given === taken || given === unset) return [];
    return [`${name} ${given} is passed over: the adapter in "${adapterPath}" brings ${taken}`];
  });
}

function named(targets: LoraSettings["targetModules"]): string {
  return [targets].flat().toSorted().join(", ");
}
