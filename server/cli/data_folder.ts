/**
 * The server's data folder, as the command line names it.
 *
 * @module
 */
import type { ParsedFlags } from "../../src/cli/flags.ts";
import { textOf } from "../../src/cli/generate_flags.ts";

/** Its absolute path. It is made if it is missing, for its owner alone. */
export async function dataFolder(flags: ParsedFlags): Promise<string> {
  const path = textOf(flags, "data_dir") ?? "lowrank-server";
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  return await Deno.realPath(path);
}
