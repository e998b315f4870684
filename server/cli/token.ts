/**
 * `lowrank token create|list|revoke`.
 *
 * @module
 */
import { columns } from "../../src/cli/format.ts";
import { didYouMean } from "../../src/config/nearest.ts";
import { type ParsedFlags, parseFlags } from "../../src/cli/flags.ts";
import { isOn, textOf } from "../../src/cli/generate_flags.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { ConfigError } from "../../src/errors.ts";
import { DATABASE_FILE } from "../assemble.ts";
import { Database } from "../database.ts";
import { ALL_SCOPES, type GrantedScope, isGrantedScope } from "../scopes.ts";
import { TokenStore } from "../token_store.ts";
import { dataFolder } from "./data_folder.ts";
import { TOKEN_FLAGS, tokenHelp } from "../../src/cli/server_flags.ts";

type Io = Pick<CliIo, "stdout">;

/** Makes, lists or ends tokens of a data folder. @throws {ConfigError} For wrong usage. */
export async function token(args: readonly string[], io: Io): Promise<void> {
  const flags = parseFlags(args, TOKEN_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(tokenHelp());
  if (flags.issues.length > 0) throw new ConfigError(flags.issues);
  const [verb = "", ...words] = flags.positionals;
  const act = Object.hasOwn(VERBS, verb) ? VERBS[verb]! : null;
  if (!act) {
    const message = `is not one of ${Object.keys(VERBS).join(", ")}${didYouMean(verb, Object.keys(VERBS))}`;
    throw new ConfigError([{ path: `"${verb}"`, message }]);
  }
  const database = new Database(`${await dataFolder(flags)}/${DATABASE_FILE}`);
  try {
    act(new TokenStore(database), flags, words, io);
  } finally {
    database.close();
  }
}

const VERBS: Readonly<
  Record<string, (tokens: TokenStore, flags: ParsedFlags, words: readonly string[], io: Io) => void>
> = {
  create(tokens, flags, words, io) {
    refuseWords(words);
    const name = textOf(flags, "name");
    if (!name) throw new ConfigError([{ path: "--name", message: "is missing: say what the token is for" }]);
    const days = textOf(flags, "expires_days");
    if (days !== null && !/^[1-9]\d{0,4}$/.test(days)) {
      const message = `must be a whole number of days: current value is "${days}"`;
      throw new ConfigError([{ path: "--expires-days", message }]);
    }
    const expiresAt = days === null ? null : Date.now() + Number(days) * 86_400_000;
    const made = tokens.create(name, scopesOf(textOf(flags, "scopes")), expiresAt);
    io.stdout.write(isOn(flags, "json") ? `${JSON.stringify(made)}\n` : `${made.token}\n`);
  },
  list(tokens, flags, words, io) {
    refuseWords(words);
    const all = tokens.list();
    if (isOn(flags, "json")) return io.stdout.write(`${JSON.stringify({ tokens: all }, null, 2)}\n`);
    const date = (ms: number | null) => ms === null ? "-" : new Date(ms).toISOString().slice(0, 10);
    const rows = all.map((
      { id, name, scopes, createdAt, expiresAt, revokedAt },
    ) => [id, name, date(createdAt), date(expiresAt), date(revokedAt), scopes.join(",")]);
    const head = ["id", "name", "made", "expires", "revoked", "scopes"];
    io.stdout.write(rows.length === 0 ? "no tokens\n" : columns([head, ...rows]));
  },
  revoke(tokens, _, [id, ...more], io) {
    refuseWords(more);
    if (id === undefined) throw new ConfigError([{ path: "ID", message: "is missing: token list shows it" }]);
    if (!tokens.revoke(id)) {
      throw new ConfigError([{ path: `"${id}"`, message: "is no token in use: token list shows them" }]);
    }
    io.stdout.write(`revoked ${id}\n`);
  },
};

/** @throws {ConfigError} With every unknown name. */
function scopesOf(text: string | null): readonly GrantedScope[] {
  if (text === null) return ALL_SCOPES;
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const unknown = names.filter((name) => !isGrantedScope(name));
  if (unknown.length > 0 || names.length === 0) {
    const issues = unknown.map((name) => ({
      path: "--scopes",
      message: `"${name}" is not a scope${didYouMean(name, ALL_SCOPES)}`,
    }));
    throw new ConfigError(issues.length > 0 ? issues : [{ path: "--scopes", message: "names no scope" }]);
  }
  return names.filter(isGrantedScope);
}

function refuseWords(words: readonly string[]): void {
  if (words.length === 0) return;
  throw new ConfigError(words.map((word) => ({ path: `"${word}"`, message: "is not expected" })));
}
