/**
 * Variables of the environment as options name them: `NAME=VALUE,NAME=VALUE;NAME=VALUE`, a set for each process.
 *
 * @module
 */
import type { ConfigIssue } from "../errors.ts";

/** The sets of a text, in order. What is no variable is added to the issues of `path`. */
export function variableSets(text: string, path: string, issues: ConfigIssue[]): Record<string, string>[] {
  return text.split(";").map((set) =>
    Object.fromEntries(
      set.split(",").map((pair) => pair.trim()).filter(Boolean).map((pair): [string, string] => {
        const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(pair) ?? [];
        if (name === undefined) issues.push({ path, message: `"${pair}" is not NAME=VALUE` });
        return [name ?? "", value ?? ""];
      }),
    )
  );
}
