/**
 * Whether and how the terminal is coloured.
 *
 * @module
 */

import type { Sink } from "./io.ts";

/** Wraps text in a style, or leaves it as it is. */
export type Paint = (style: keyof typeof STYLES, text: string) => string;

const STYLES = { bold: 1, dim: 2, red: 31, yellow: 33, cyan: 36 } as const;

/** A painter; without colour it returns the text. */
export function painter(color: boolean): Paint {
  return (style, text) => (color ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text);
}

/** `--color` values. */
export const COLOR_WORDS = ["auto", "always", "never"] as const;

/** The value of `--color` anywhere on the command line; errors must obey it before flags are parsed. */
export function colorChoice(args: readonly string[]): string {
  const index = args.findIndex((argument) => argument === "--color" || argument.startsWith("--color="));
  const choice = index < 0 ? "auto" : args[index]!.split("=")[1] ?? args[index + 1] ?? "auto";
  return (COLOR_WORDS as readonly string[]).includes(choice) ? choice : "auto";
}

/**
 * `--color` decides; at `auto` a set NO_COLOR forbids, a set FORCE_COLOR (but "0") demands, and otherwise the
 * terminal decides.
 *
 * @see https://no-color.org
 */
export function wantsColor(choice: string, env: Readonly<Record<string, string>>, sink: Sink): boolean {
  if (choice !== "auto") return choice === "always";
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0";
  return sink.isTerminal && env.TERM !== "dumb";
}
