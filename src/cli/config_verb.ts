/**
 * `lowrank config init`, `lowrank config schema` and `lowrank config validate FILE`.
 *
 * @module
 */

import { configJsonSchema } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { readConfigFile } from "./config_file.ts";
import { configTemplate } from "./config_template.ts";
import { GENERAL_FLAGS, parseFlags } from "./flags.ts";
import { exitCodeTable, flagTable, PLAIN_CODES } from "./help.ts";
import type { CliIo } from "./io.ts";
import { resolveConfig } from "./sources.ts";

/** What `lowrank config --help` prints. */
export function configHelp(): string {
  return `lowrank config: files of options for lowrank train --config

Usage: lowrank config init              a file with every option, its help and its default
       lowrank config schema            the JSON Schema of such a file, for editors
       lowrank config validate FILE     lists everything that is wrong with a file

${flagTable(GENERAL_FLAGS, ["General"])}

A file is YAML, TOML or JSON with options in snake_case, one level deep. It is judged alone: what
must be given is in it, and neither variables nor flags count. What comes of all of them, and where
each value is from, is shown by "lowrank train -c FILE --print-config".

Exit codes
${exitCodeTable(PLAIN_CODES)}

Examples
  lowrank config init > ember.yaml
  lowrank config validate ember.yaml
  lowrank config schema > lowrank.schema.json
`;
}

/**
 * Prints a file to fill in or the schema, or says that a file is valid.
 *
 * @throws {ConfigError} For wrong usage, and for a file that does not validate.
 */
export async function configVerb(args: readonly string[], io: CliIo): Promise<void> {
  const { values, positionals: [action, path, ...more], issues } = parseFlags(args, GENERAL_FLAGS);
  if (issues.length > 0) throw new ConfigError(issues);
  if (values.get("help")) return io.stdout.write(configHelp());
  if (action === "init" && path === undefined) return io.stdout.write(configTemplate());
  if (action === "schema" && path === undefined) {
    return io.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  }
  if (action !== "validate" || path === undefined || more.length > 0) {
    throw new ConfigError([{ path: "config", message: 'takes "init", "schema" or "validate FILE"' }]);
  }
  const options = await readConfigFile(path, io.readTextFile);
  resolveConfig({ flags: {}, env: {}, file: { path, options } });
  io.stdout.write(`${path} is valid\n`);
}
