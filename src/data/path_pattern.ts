/**
 * Patterns in the last part of a path: `*` stands for any letters, `?` for one.
 *
 * @module
 */

/** Whether a name holds a sign of a pattern. */
export function isPattern(name: string): boolean {
  return /[*?]/.test(name);
}

/** The names that a pattern stands for, in their order. */
export function matching(names: readonly string[], pattern: string): string[] {
  const expression = new RegExp(
    `^${pattern.replace(/[\\^$.+()[\]{}|]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".")}$`,
  );
  return names.filter((name) => expression.test(name));
}
