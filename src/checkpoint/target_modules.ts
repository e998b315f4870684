/**
 * Which linear maps LoRA is applied to, by PEFT's rules.
 *
 * @module
 */
import { type LoraKind, loraScaling } from "../config/lora_kind.ts";
import { pythonRegex } from "./python_regex.ts";

/**
 * `"all-linear"`, or a list whose entries each mean a module path or the end of one (`q_proj` is
 * `model.layers.3.self_attn.q_proj`), or any other string: a regular expression for the whole path.
 */
export type TargetModules = string | readonly string[];

/** Values by keys, each the end of a module path or a regular expression for it. */
export type PathPattern = Readonly<Record<string, number>>;

/** PEFT's fields that say which maps get an update; one that is absent has PEFT's default. */
export interface TargetRules {
  /** Maps that get an update. */
  readonly targetModules: TargetModules;
  /** Maps that get none after all; in the forms of `targetModules`, but for all-linear. */
  readonly excludeModules?: TargetModules;
  /** Layers that the entries of a list are looked for in, from 0. */
  readonly layersToTransform?: readonly number[];
  /** What the list of layers is called in the paths; default whatever stands before the first number. */
  readonly layersPattern?: readonly string[];
  /** Ranks and alphas of maps that differ from the others. */
  readonly rankPattern?: PathPattern;
  /** As `rankPattern`, for alpha. */
  readonly alphaPattern?: PathPattern;
  /** Ends of the paths of modules that are trained themselves, not by an update. */
  readonly modulesToSave?: readonly string[];
}

/** PEFT's word for every linear map but the output head. */
export const ALL_LINEAR = "all-linear";

/** Any capitals, as PEFT takes it. */
export function isAllLinear(targets: TargetModules): boolean {
  return typeof targets === "string" && targets.toLowerCase() === ALL_LINEAR;
}

/** The rules alone; fields that are null, as in a configuration, or empty are left out. */
export function targetRulesOf<Targets extends TargetModules | null>(
  from:
    & { readonly targetModules: Targets }
    & {
      readonly [field in keyof Omit<TargetRules, "targetModules">]?: TargetRules[field] | null;
    },
): Omit<TargetRules, "targetModules"> & { readonly targetModules: Targets } {
  const { targetModules, excludeModules, layersToTransform, layersPattern } = from;
  const { rankPattern, alphaPattern, modulesToSave } = from;
  return {
    targetModules,
    ...(excludeModules?.length ? { excludeModules } : {}),
    ...(layersToTransform?.length ? { layersToTransform } : {}),
    ...(layersPattern?.length ? { layersPattern } : {}),
    ...(Object.keys(rankPattern ?? {}).length > 0 ? { rankPattern: rankPattern! } : {}),
    ...(Object.keys(alphaPattern ?? {}).length > 0 ? { alphaPattern: alphaPattern! } : {}),
    ...(modulesToSave?.length ? { modulesToSave } : {}),
  };
}

/**
 * Those of the paths that the rules mean, in the order of the paths. An entry that means none is passed by, as PEFT does;
 * `target_issues.ts` tells of such.
 *
 * @param paths Module paths of the model's linear maps, without the output head.
 * @throws {RangeError} If nothing is left.
 * @throws {SyntaxError} If an expression cannot be read.
 */
export function matchTargets(rules: TargetRules, paths: readonly string[]): string[] {
  const { targetModules, excludeModules, modulesToSave = [] } = rules;
  const isTarget = targetTest(rules), isExcluded = excludeModules ? moduleTest(excludeModules) : () => false;
  const saved = modulesToSave.map((name) => pythonRegex(`(?:^|.*\\.)(?:${name})(?:$|\\..*)`, true));
  const found = paths.filter((path) =>
    isTarget(path) && !isExcluded(path) && !saved.some((name) => name.test(path))
  );
  if (found.length > 0) return found;
  const narrowed = excludeModules || rules.layersToTransform ? " once the others are left out" : "";
  throw new RangeError(
    `Cannot apply LoRA to ${
      JSON.stringify(targetModules)
    } as no linear map of the model is meant${narrowed}: ` +
      `${knownNames(paths)}`,
  );
}

/** Whether a module path is meant by one of the forms that target_modules and exclude_modules take. */
export function moduleTest(modules: TargetModules): (path: string) => boolean {
  if (typeof modules !== "string") {
    return (path) => modules.some((entry) => isEndOf(entry, path));
  }
  if (isAllLinear(modules)) return () => true;
  const expression = pythonRegex(modules, true);
  return (path) => expression.test(path);
}

/** Whether a module is trained itself. PEFT compares ends whatever they cut: `norm` is `input_layernorm` too. */
export function isSavedWhole({ modulesToSave }: Pick<TargetRules, "modulesToSave">, path: string): boolean {
  return modulesToSave?.some((name) => path.endsWith(name)) ?? false;
}

/** Whether `entry` is a module path or the end of it. */
export function isEndOf(entry: string, path: string): boolean {
  return path === entry || path.endsWith(`.${entry}`);
}

/** Index of the layer that a module belongs to, null for one that belongs to none. */
export function layerOf(path: string, layersPattern: readonly string[] | undefined): number | null {
  const before = layersPattern?.map((name) => `(?:^|.*?\\.)(?:${name})`) ?? [".*?\\.[^.]*"];
  for (const pattern of before) {
    const index = pythonRegex(`${pattern}\\.(?P<layer>\\d+)\\.`, false).exec(path)?.groups?.["layer"];
    if (index !== undefined) return Number(index);
  }
  return null;
}

/** The first key of a pattern that means the path; null for none. */
export function patternKey(pattern: PathPattern | undefined, path: string): string | null {
  return Object.keys(pattern ?? {}).find((key) => pythonRegex(`(?:.*\\.)?(?:${key})`, true).test(path)) ??
    null;
}

/** Rank of a map, and the factor before B·A. */
export function strengthOf(
  settings: Omit<TargetRules, "targetModules"> & LoraKind & { readonly rank: number; readonly alpha: number },
  path: string,
): { readonly rank: number; readonly scaling: number } {
  const { rankPattern, alphaPattern } = settings;
  const rankKey = patternKey(rankPattern, path), alphaKey = patternKey(alphaPattern, path);
  const rank = rankKey === null ? settings.rank : rankPattern![rankKey]!;
  const alpha = alphaKey === null ? settings.alpha : alphaPattern![alphaKey]!;
  return { rank, scaling: loraScaling({ ...settings, rank, alpha }) };
}

/** What target_modules could be, for messages. */
export function knownNames(paths: readonly string[]): string {
  const names = [...new Set(paths.map((path) => path.slice(path.lastIndexOf(".") + 1)))];
  return `it takes "${ALL_LINEAR}", a list of ${names.join(", ")}, or of paths such as ` +
    `"${paths[0]}", or a regular expression for the whole path`;
}

/** An entry of a list that is the whole path is taken whatever layer it lies in, as PEFT does. */
function targetTest(
  { targetModules, layersToTransform, layersPattern }: TargetRules,
): (path: string) => boolean {
  const isMeant = moduleTest(targetModules);
  if (!layersToTransform) return isMeant;
  return (path) => {
    if (typeof targetModules !== "string" && targetModules.includes(path)) return true;
    const layer = isMeant(path) ? layerOf(path, layersPattern) : null;
    return layer !== null && layersToTransform.includes(layer);
  };
}
