/**
 * Target modules as an adapter's config tells them to PEFT, where the model is a part of a larger one.
 *
 * @module
 */
import { matchTargets, type TargetModules } from "./target_modules.ts";

/**
 * The targets such that PEFT takes them for these maps and no others: as they are where the model is the whole checkpoint,
 * else an expression for paths within a module, since eyes have maps of the same names.
 *
 * @param paths Module paths of the model's linear maps.
 * @param within Name of the module that holds the model; null where there is none.
 */
export function adapterTargets(
  targets: TargetModules,
  paths: readonly string[],
  within: string | null,
): TargetModules {
  if (within === null) return targets;
  const matched = matchTargets(targets, paths);
  const lastName = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  const names = [...new Set(matched.map(lastName))];
  const inAllLayers = paths.filter((path) => names.includes(lastName(path))).length === matched.length;
  // transformers puts the layers elsewhere in the module than files do, but numbers them alike
  const ends = inAllLayers ? names : matched.map((path) => path.slice(path.indexOf("layers.")));
  return String.raw`.*\b${within}\..*\b(?:${ends.map((end) => end.replaceAll(".", "\\.")).join("|")})`;
}
