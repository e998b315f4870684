/**
 * Which linear maps LoRA is applied to, by PEFT's rules.
 *
 * @module
 */

/**
 * `"all-linear"`, or a list whose entries each mean a module path or the end of one (`q_proj` is
 * `model.layers.3.self_attn.q_proj`), or any other string: a regular expression for the whole path.
 */
export type TargetModules = string | readonly string[];

/** PEFT's word for every linear map but the output head. */
export const ALL_LINEAR = "all-linear";

/**
 * Those of the paths that the targets mean, in the order of the paths.
 *
 * @param paths Module paths of the model's linear maps, without the output head.
 * @throws {RangeError} If an entry of the list, or the expression, means none of them. PEFT itself only notices
 * when nothing matches at all; a mistyped entry would go unnoticed.
 */
export function matchTargets(targets: TargetModules, paths: readonly string[]): string[] {
  if (targets === ALL_LINEAR) return [...paths];
  const tests = typeof targets === "string" ? [wholePath(targets)] : targets.map(pathEnd);
  for (const [i, test] of tests.entries()) {
    if (!paths.some(test)) throw noMatch(typeof targets === "string" ? targets : targets[i]!, paths);
  }
  return paths.filter((path) => tests.some((test) => test(path)));
}

function pathEnd(target: string): (path: string) => boolean {
  return (path) => path === target || path.endsWith(`.${target}`);
}

function wholePath(pattern: string): (path: string) => boolean {
  const expression = new RegExp(`^(?:${pattern})$`);
  return (path) => expression.test(path);
}

function noMatch(target: string, paths: readonly string[]): RangeError {
  const names = [...new Set(paths.map((path) => path.slice(path.lastIndexOf(".") + 1)))];
  return new RangeError(
    `Cannot apply LoRA to "${target}" as no linear map of the model is called so: ` +
      `target_modules takes "${ALL_LINEAR}" or names of ${names.join(", ")}`,
  );
}
