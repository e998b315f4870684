/**
 * `lowrank pull MODEL`: brings a model into the cache and says where it is.
 *
 * @module
 */
import type { FindModel } from "../model_manager.ts";
import { parseFlags } from "./flags.ts";
import { isOn } from "./generate_flags.ts";
import type { CliIo } from "./io.ts";
import { finderIn, showingFinder } from "./model_source.ts";
import { namedPlugins } from "./plugin_flag.ts";
import { partsOf } from "./plugin_parts.ts";
import { oneWord, PULL_FLAGS, pullHelp } from "./verb_flags.ts";

/**
 * Prints the folder of the model, or the path of its GGUF file; how far it is on standard error.
 *
 * @param find Finds a model by its name; default on this machine, in buckets and on the Hub.
 * @throws {ConfigError} For wrong usage. @throws What finding throws; `InterruptedError` after a signal.
 */
export async function pull(
  args: readonly string[],
  io: Pick<CliIo, "stdout" | "stderr" | "env" | "untilInterrupted" | "loadPlugins">,
  find?: FindModel,
): Promise<void> {
  const flags = parseFlags(args, PULL_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(pullHelp());
  const name = oneWord(flags, "MODEL");
  const { open } = partsOf(await namedPlugins(flags, io));
  const shown = showingFinder(io.stderr, find ?? finderIn(open), isOn(flags, "quiet"));
  const found = await io.untilInterrupted((signal) => shown(name, { signal }));
  const path = found.file === null ? found.folder.uri : `${found.folder.uri}/${found.file}`;
  if (!isOn(flags, "json")) return io.stdout.write(`${path}\n`);
  io.stdout.write(`${JSON.stringify({ name: found.name, path }, null, 2)}\n`);
}
