/**
 * Environment variables, where there are any and they may be read.
 *
 * @module
 */

/** The value of a variable; null where it is unset, empty or out of reach. */
export function variable(...names: readonly string[]): string | null {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  for (const name of names) {
    try {
      const value = process?.env?.[name];
      if (value) return value;
    } catch {
      // Deno without --allow-env=NAME
    }
  }
  return null;
}
