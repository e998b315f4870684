/**
 * Configuration files: YAML, TOML or JSON by their ending. Parsers load only when a file asks for them.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";

type Parser = (text: string) => unknown;

const PARSERS: Readonly<Record<string, { name: string; load: () => Promise<Parser> }>> = {
  json: { name: "JSON", load: () => Promise.resolve(JSON.parse) },
  yaml: { name: "YAML", load: async () => (await import("js-yaml")).load },
  yml: { name: "YAML", load: async () => (await import("js-yaml")).load },
  toml: { name: "TOML", load: async () => (await import("smol-toml")).parse },
};

/**
 * The options in a file, names and values as they stand there.
 *
 * @throws {ConfigError} If the file cannot be read, has another ending, is not well-formed, or holds no options.
 */
export async function readConfigFile(
  path: string,
  readTextFile: (path: string) => Promise<string>,
): Promise<Readonly<Record<string, unknown>>> {
  const ending = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const parser = PARSERS[ending];
  if (!parser) throw failure(path, "must end in .yaml, .yml, .toml or .json to be read as a configuration");
  let text: string;
  try {
    text = await readTextFile(path);
  } catch (error) {
    throw failure(path, `cannot be read: ${firstLine(error)}`);
  }
  let content: unknown;
  try {
    content = (await parser.load())(text);
  } catch (error) {
    throw failure(path, `is not valid ${parser.name}: ${firstLine(error)}`);
  }
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw failure(path, 'must hold options such as "base_model", one a line');
  }
  return content as Record<string, unknown>;
}

function failure(path: string, message: string): ConfigError {
  return new ConfigError([{ path, message }]);
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.replace(/:$/, "");
}
