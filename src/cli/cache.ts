/**
 * `lowrank cache`: what was downloaded, and how to be rid of it.
 *
 * @module
 */
import { didYouMean } from "../config/nearest.ts";
import { ConfigError } from "../errors.ts";
import type { CacheEntry, SnapshotCache } from "../storage/snapshot_cache.ts";
import { columns, formatBytes } from "./format.ts";
import { parseFlags } from "./flags.ts";
import { isOn } from "./generate_flags.ts";
import { hubSnapshots } from "./hub.ts";
import type { CliIo } from "./io.ts";
import { CACHE_FLAGS, cacheHelp } from "./verb_flags.ts";

/**
 * Prints one line a copy, or removes copies.
 *
 * @param open Opens the cache; default that of this user.
 * @throws {ConfigError} For wrong usage, a name that is not in the cache, and a copy that is in use.
 */
export async function cache(
  args: readonly string[],
  io: Pick<CliIo, "stdout">,
  open: () => SnapshotCache = () => hubSnapshots().cache,
): Promise<void> {
  const flags = parseFlags(args, CACHE_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(cacheHelp());
  if (flags.issues.length > 0) throw new ConfigError(flags.issues);
  const [word, ...names] = flags.positionals;
  const copies = open(), entries = (await copies.entries()).reverse();
  if (word === "rm") return await remove(names, copies, entries, io);
  if (word !== undefined) {
    throw new ConfigError([{ path: `"${word}"`, message: `is not expected${didYouMean(word, ["rm"])}` }]);
  }
  if (isOn(flags, "json")) {
    return io.stdout.write(`${JSON.stringify({ copies: entries.map(row) }, null, 2)}\n`);
  }
  io.stdout.write(entries.length === 0 ? "the cache is empty\n" : table(entries));
}

async function remove(
  names: readonly string[],
  copies: SnapshotCache,
  entries: readonly CacheEntry[],
  io: Pick<CliIo, "stdout">,
): Promise<void> {
  if (names.length === 0) {
    throw new ConfigError([{ path: "NAME", message: "is missing: name what to remove" }]);
  }
  const chosen = names.map((name) => ({ name, found: entries.filter((entry) => isMeant(entry, name)) }));
  const known = entries.map(({ uri }) => shortName(uri));
  const unknown = chosen.filter(({ found }) => found.length === 0).map(({ name }) => {
    return { path: `"${name}"`, message: `is not in the cache${didYouMean(name, known)}` };
  });
  if (unknown.length > 0) throw new ConfigError(unknown);
  for (const entry of new Set(chosen.flatMap(({ found }) => found))) {
    if (!await copies.remove(entry)) {
      const message = "is in use: wait until the run that uses it is over";
      throw new ConfigError([{ path: `"${shortName(entry.uri)}"`, message }]);
    }
    io.stdout.write(`removed ${shortName(entry.uri)} (${formatBytes(entry.bytes)})\n`);
  }
}

/** As a model is named, with the first letters of a revision or without. */
function isMeant({ uri, revision }: CacheEntry, name: string): boolean {
  const [, wanted = name, part = ""] = /^(.+)@([0-9a-f]+)$/.exec(name) ?? [];
  return [uri, shortName(uri)].includes(wanted) && revision.startsWith(part);
}

/** `OWNER/NAME` for models of the Hub, URIs for all else. */
function shortName(uri: string): string {
  return uri.replace(/^hf:\/\/(?!datasets\/)/, "");
}

function row({ uri, revision, folder, bytes, files, usedAt }: CacheEntry) {
  return { name: shortName(uri), revision, path: folder.uri, bytes, files, used_at: usedAt };
}

function table(entries: readonly CacheEntry[]): string {
  const total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const cells = [
    ["name", "revision", "size", "files", "used"],
    ...entries.map(({ uri, revision, bytes, files, usedAt }) => [
      shortName(uri),
      revision.slice(0, 8),
      formatBytes(bytes),
      String(files),
      usedAt.slice(0, 16).replace("T", " "),
    ]),
    ["", "", formatBytes(total), "", ""],
  ];
  return columns(cells);
}
