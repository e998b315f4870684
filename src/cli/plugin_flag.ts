/**
 * `--plugins` of the verbs whose flags are their own.
 *
 * @module
 */
import type { Plugin } from "../plugin.ts";
import { type FlagSpec, type ParsedFlags, TRAIN_FLAGS } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { loadNamedPlugins } from "./sources.ts";

/** As `train` has it. */
export const PLUGINS_FLAG: FlagSpec = {
  ...TRAIN_FLAGS.find(({ name }) => name === "plugins")!,
  section: "General",
};

/** The plugins that the flag, else `LOWRANK_PLUGINS`, names, loaded. @throws {ConfigError} If one cannot be used. */
export async function namedPlugins(
  { values }: ParsedFlags,
  { env, loadPlugins }: Pick<CliIo, "env" | "loadPlugins">,
): Promise<readonly Plugin[]> {
  const named = [PLUGINS_FLAG.name, ...PLUGINS_FLAG.aliases].flatMap((name) => values.get(name) ?? []);
  const flags: Record<string, string> = named.length > 0 ? { plugins: named.join(",") } : {};
  return await loadNamedPlugins({ flags, env }, loadPlugins);
}
