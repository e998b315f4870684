/**
 * What an adapter to continue from overrules of a configuration.
 *
 * @module
 */
import { ruleNotes } from "../checkpoint/lora_settings.ts";
import { targetRulesOf } from "../checkpoint/target_modules.ts";
import { CONFIG_FIELDS, type FineTuneJobConfig } from "../config.ts";
import { loraKindOf } from "../config/lora_kind.ts";
import type { LoraSettings } from "../model_manager.ts";

/**
 * A warning for each option that was set to something else than the adapter to continue from has. One at its default may
 * not have been set at all.
 */
export function overruledOptions(
  { lora, job: { adapterPath } }: FineTuneJobConfig,
  taken: LoraSettings,
): string[] {
  if (adapterPath === null) return [];
  const { rank, alpha, targetModules } = taken, kind = loraKindOf(taken), rules = new Set(ruleNotes(taken));
  const options = [
    ["lora_r", lora.r, rank],
    ["lora_alpha", lora.alpha, alpha],
    ["use_rslora", lora.useRslora, kind.useRslora],
    ["use_dora", lora.useDora, kind.useDora],
    ["bias", lora.bias, kind.bias],
    ["target_modules", named(lora.targetModules), named(targetModules)],
  ] as const;
  const overruled = options.flatMap(([name, given, taken]) => {
    const unset = CONFIG_FIELDS.find(({ wireName }) => wireName === name)!.default;
    if (given === taken || given === unset) return [];
    return [`${name} ${given} is passed over: the adapter in "${adapterPath}" brings ${taken}`];
  });
  const passedOver = ruleNotes(targetRulesOf(lora)).filter((note) => !rules.has(note))
    .map((note) => `${note} is passed over: the adapter in "${adapterPath}" has rules of its own`);
  return [...overruled, ...passedOver];
}

function named(targets: LoraSettings["targetModules"]): string {
  return [targets].flat().toSorted().join(", ");
}
