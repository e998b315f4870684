/**
 * Target modules as an adapter's config tells them to PEFT, where the model is a part of a larger one.
 *
 * @module
 */
import { matchTargets, type TargetRules, targetRulesOf } from "./target_modules.ts";

/**
 * The rules such that PEFT takes them for these maps and no others: as they are where the model is the whole checkpoint,
 * else with an expression for paths within a module, since eyes have maps of the same names.
 *
 * @param paths Module paths of the model's linear maps.
 * @param within Name of the module that holds the model; null where there is none.
 */
export function adapterTargets(
  rules: TargetRules,
  paths: readonly string[],
  within: string | null,
): TargetRules {
  if (within === null) return targetRulesOf(rules);
  const matched = matchTargets(rules, paths);
  const lastName = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  const names = [...new Set(matched.map(lastName))];
  const inAllLayers = paths.filter((path) => names.includes(lastName(path))).length === matched.length;
  // transformers puts the layers elsewhere in the module than files do, but numbers them alike
  const ends = inAllLayers ? names : matched.map((path) => path.slice(path.indexOf("layers.")));
  const targetModules = String.raw`.*\b${within}\..*\b(?:${
    ends.map((end) => end.replaceAll(".", "\\.")).join("|")
  })`;
  const { excludeModules: _, layersToTransform: __, layersPattern: ___, ...others } = targetRulesOf(rules);
  return { ...others, targetModules };
}
