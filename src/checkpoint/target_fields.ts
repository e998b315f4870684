/**
 * The fields of PEFT's adapter_config.json that say which maps have an update, of what size and strength, and what is trained
 * beside them.
 *
 * @module
 */
import type { PythonValue } from "./python_json.ts";
import { type PathPattern, type TargetModules, type TargetRules, targetRulesOf } from "./target_modules.ts";

/** As {@link TargetRules}; target modules are null where an older file leaves them out. */
export type SavedTargetRules = Omit<TargetRules, "targetModules"> & {
  readonly targetModules: TargetModules | null;
};

/** Makes the error for a field, which should have been what `wanted` says. */
type Wrong = (key: string, wanted: string) => Error;

/** Reads the fields. @throws What `wrong` makes. */
export function parseTargetRules(fields: Readonly<Record<string, unknown>>, wrong: Wrong): SavedTargetRules {
  const modules = (key: string) => {
    const value = fields[key] ?? null;
    if (value === null || typeof value === "string" || isStrings(value)) return value;
    throw wrong(key, "a string, a list of strings or null");
  };
  const strings = (key: string) => {
    const value = fields[key] ?? null;
    if (value === null || isStrings(value)) return value;
    throw wrong(key, "a list of strings or null");
  };
  const layers = [fields["layers_to_transform"] ?? []].flat();
  if (!layers.every((layer): layer is number => Number.isSafeInteger(layer))) {
    throw wrong("layers_to_transform", "a whole number, a list of them or null");
  }
  const layersPattern = modules("layers_pattern");
  return targetRulesOf({
    targetModules: modules("target_modules"),
    excludeModules: modules("exclude_modules"),
    layersToTransform: layers,
    layersPattern: layersPattern === null ? null : [layersPattern].flat(),
    rankPattern: pattern(fields, "rank_pattern", isRank, "whole numbers of 1 or more", wrong),
    modulesToSave: strings("modules_to_save"),
    alphaPattern: pattern(fields, "alpha_pattern", Number.isFinite, "numbers", wrong),
  });
}

/** The fields as PEFT writes them. Lists are sorted, since PEFT's own order differs from run to run. */
export function formatTargetRules(rules: TargetRules): { readonly [key: string]: PythonValue } {
  const { targetModules, excludeModules, layersToTransform, layersPattern } = rules;
  const { rankPattern, alphaPattern, modulesToSave } = rules;
  return {
    target_modules: sorted(targetModules),
    exclude_modules: excludeModules === undefined ? null : sorted(excludeModules),
    layers_to_transform: layersToTransform ?? null,
    layers_pattern: layersPattern ?? null,
    rank_pattern: rankPattern ?? {},
    alpha_pattern: alphaPattern ?? {},
    modules_to_save: modulesToSave === undefined ? null : [...modulesToSave].sort(),
  };
}

function sorted(modules: TargetModules): PythonValue {
  return typeof modules === "string" ? modules : [...modules].sort();
}

function pattern(
  fields: Readonly<Record<string, unknown>>,
  key: string,
  isValid: (value: unknown) => boolean,
  what: string,
  wrong: Wrong,
): PathPattern {
  const value = fields[key] ?? {};
  if (typeof value === "object" && !Array.isArray(value) && Object.values(value).every(isValid)) {
    return value as PathPattern;
  }
  throw wrong(key, `${what} by names of modules`);
}

function isRank(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
