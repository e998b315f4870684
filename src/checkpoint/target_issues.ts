/**
 * What is wrong with a user's rules of which maps get an update. PEFT only notices when nothing is left at all; a mistyped
 * entry would go unnoticed.
 *
 * @module
 */
import type { ConfigIssue } from "../errors.ts";
import {
  isEndOf,
  isSavedWhole,
  knownNames,
  layerOf,
  matchTargets,
  moduleTest,
  type PathPattern,
  patternKey,
  type TargetModules,
  type TargetRules,
} from "./target_modules.ts";

/**
 * Entries that mean none of the maps, and keys that contradict each other.
 *
 * @param paths Module paths of the model's linear maps, without the output head.
 * @param modules Module paths of everything that holds weights.
 */
export function targetIssues(
  rules: TargetRules,
  paths: readonly string[],
  modules: readonly string[],
): ConfigIssue[] {
  const { targetModules, excludeModules, rankPattern, alphaPattern } = rules;
  const issues: ConfigIssue[] = [];
  /** Adds what a check finds; what cannot be read is an issue of that option too. */
  const check = (path: string, find: () => string[]) => {
    try {
      issues.push(...find().map((message) => ({ path, message })));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
      issues.push({ path, message: error.message });
    }
  };
  check("target_modules", () => idleEntries(targetModules, paths, "Cannot apply LoRA to"));
  check(
    "exclude_modules",
    () => excludeModules ? idleEntries(excludeModules, paths, "Cannot leave out") : [],
  );
  check(rules.layersPattern ? "layers_pattern" : "layers_to_transform", () => layerIssues(rules, paths));
  check("modules_to_save", () => idleModules(rules.modulesToSave ?? [], modules));
  if (issues.length > 0) return issues;
  check("target_modules", () => (matchTargets(rules, paths), []));
  if (issues.length > 0) return issues;
  const targets = matchTargets(rules, paths);
  check("rank_pattern", () => patternIssues(rankPattern, targets));
  check("alpha_pattern", () => patternIssues(alphaPattern, targets));
  return issues;
}

function idleEntries(modules: TargetModules, paths: readonly string[], cannot: string): string[] {
  const idle = typeof modules === "string"
    ? [modules].filter(() => !paths.some(moduleTest(modules)))
    : modules.filter((entry) => !paths.some((path) => isEndOf(entry, path)));
  return idle.map((entry) =>
    `${cannot} "${entry}" as no linear map of the model is called so: ${knownNames(paths)}`
  );
}

function idleModules(names: readonly string[], modules: readonly string[]): string[] {
  const known = [...new Set(modules.map((path) => path.slice(path.lastIndexOf(".") + 1)))];
  return names.filter((name) => !modules.some((path) => isSavedWhole({ modulesToSave: [name] }, path)))
    .map((name) => `must be names of modules of the model, ${known.join(", ")}: current value is ${name}`);
}

function layerIssues({ layersToTransform, layersPattern }: TargetRules, paths: readonly string[]): string[] {
  if (!layersToTransform) return [];
  const layers = new Set(paths.map((path) => layerOf(path, layersPattern)));
  layers.delete(null);
  if (layers.size === 0) {
    return [
      `must be what stands before the number of a layer, as in "${paths[0]}": current value is ${
        JSON.stringify(layersPattern)
      }`,
    ];
  }
  const beyond = layersToTransform.filter((layer) => !layers.has(layer));
  return beyond.map((layer) =>
    `must be layers of the model, 0..${layers.size - 1}: current value is ${layer}`
  );
}

/** PEFT takes the first key that fits and sorts them when it saves: where two fit, the file would mean another. */
function patternIssues(pattern: PathPattern | undefined, targets: readonly string[]): string[] {
  const keys = Object.keys(pattern ?? {});
  const isMeantBy = (key: string, path: string) => patternKey({ [key]: pattern![key]! }, path) !== null;
  const idle = keys.filter((key) => !targets.some((path) => isMeantBy(key, path)));
  const issues = idle.map((key) =>
    `must have ends of module paths, or regular expressions for them, as keys: "${key}" means no map that gets an ` +
    `update, such as "${targets[0]}"`
  );
  for (const path of targets) {
    const found = keys.filter((key) => isMeantBy(key, path));
    if (new Set(found.map((key) => pattern![key])).size < 2) continue;
    return [
      ...issues,
      `must give "${path}" one value: keys ${found.map((key) => `"${key}"`).join(" and ")} both mean it`,
    ];
  }
  return issues;
}
