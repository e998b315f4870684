/**
 * The low-rank update that a run trains: as configured, or as the adapter that it continues from has it.
 *
 * @module
 */
import type { Adapter } from "../checkpoint/adapter.ts";
import { CONFIG_FIELDS, type FineTuneJobConfig } from "../config.ts";
import type { LoraSettings } from "../model_manager.ts";

/** An adapter to continue from brings its own rank, alpha and targets. */
export function loraSettings({ lora }: FineTuneJobConfig, start: Adapter | null): LoraSettings {
  if (!start) return { rank: lora.r, alpha: lora.alpha, targetModules: lora.targetModules };
  const { rank, alpha, targetModules } = start.config;
  const pathOf = (key: string) => key.replace(/^base_model\.model\.|\.lora_[AB]\.weight$/g, "");
  return { rank, alpha, targetModules: targetModules ?? [...new Set([...start.tensors.keys()].map(pathOf))] };
}

/**
 * A warning for each option that was set to something else than the adapter to continue from has. One at its default may
 * not have been set at all.
 */
export function overruledOptions(
  { lora, job: { adapterPath } }: FineTuneJobConfig,
  { rank, alpha, targetModules }: LoraSettings,
): string[] {
  if (adapterPath === null) return [];
  const options = [
    ["lora_r", lora.r, rank],
    ["lora_alpha", lora.alpha, alpha],
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
