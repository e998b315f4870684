/**
 * `lowrank serve`: listens, runs jobs, and stops in good order.
 *
 * @module
 */
import { type ParsedFlags, parseFlags } from "../../src/cli/flags.ts";
import { isOn, textOf } from "../../src/cli/generate_flags.ts";
import type { CliIo } from "../../src/cli/io.ts";
import { variableSets } from "../../src/cli/variables.ts";
import { ConfigError, type ConfigIssue } from "../../src/errors.ts";
import { redacted } from "../../src/redact.ts";
import type { AccessEntry } from "../app.ts";
import { assemble, DATABASE_FILE } from "../assemble.ts";
import { checkInThread } from "../data_check_thread.ts";
import { Database } from "../database.ts";
import { LocalGenerator } from "../launchers/local_generator.ts";
import type { Slot } from "../launchers/launcher.ts";
import { DEFAULT_SETTINGS } from "../settings.ts";
import { parseStorageGrants, type StorageGrant } from "../storage_grants.ts";
import { TokenStore } from "../token_store.ts";
import { launcherOptions, openLauncher } from "./open_launcher.ts";
import { openAreas, openRecords } from "./open_proxy.ts";
import { dataFolder } from "./data_folder.ts";
import { pageFolder } from "./page_folder.ts";
import { SERVE_FLAGS, serveHelp } from "../../src/cli/server_flags.ts";

/** What the command says, and how it is told to stop. */
export type ServeIo = Pick<CliIo, "stdout" | "stderr" | "env" | "untilInterrupted">;

/** Held for as long as a server lives. */
const LOCK_FILE = "server.lock";

/** After this, streams that clients keep open are cut. */
const LAST_WORDS_MS = 1000;

/** Rights of the process that generates: it reads models and writes nothing. */
const GENERATION_RIGHTS = ["--no-prompt", "--allow-read", "--allow-env", "--allow-sys"];

/**
 * Serves until a signal comes.
 *
 * @param root Folder of the program, absolute, with `/` at its end.
 * @throws {ConfigError} For wrong usage, a public address without tokens, or a data folder that another server uses.
 * @throws {InterruptedError} After the signal.
 */
export async function serve(args: readonly string[], io: ServeIo, root: string): Promise<void> {
  const flags = parseFlags(args, SERVE_FLAGS);
  if (flags.values.get("help")) return io.stdout.write(serveHelp());
  const options = optionsOf(flags);
  const folder = await dataFolder(flags), lock = await holdFolder(folder);
  const database = new Database(`${folder}/${DATABASE_FILE}`);
  try {
    const anonymous = !new TokenStore(database).hasAny();
    if (anonymous && !isLoopback(options.host)) {
      const message = `"${options.host}" can be reached from other machines, and there is no token: ` +
        "make one first (lowrank token create --name NAME), or serve 127.0.0.1";
      throw new ConfigError([{ path: "--host", message }]);
    }
    const command = (rights: readonly string[], program: string): [string, ...string[]] => {
      const deno = io.env.LOWRANK_DENO || Deno.execPath();
      return [deno, "run", "--quiet", "--config", `${root}deno.json`, ...rights, `${root}server/${program}`];
    };
    const launcher = await openLauncher(options.launcher, (rights) => command(rights, "job_process.ts"));
    const areas = await openAreas(options.grants), records = await openRecords(options.firestore, folder);
    const log = (line: string) => io.stderr.write(`${redacted(line)}\n`);
    await io.untilInterrupted(async (signal) => {
      const server = await assemble({
        database,
        folder,
        modelsFolder: options.modelsFolder ?? `${folder}/models`,
        bundledModels: new Map([["lowrank-tiny", `${root}examples/tiny/model`]]),
        launcher,
        generator: new LocalGenerator({
          command: command(GENERATION_RIGHTS, "generation_process.ts"),
          env: options.slots[0]!.env,
        }),
        slots: options.slots,
        settings: { ...DEFAULT_SETTINGS, ...options.settings, anonymous },
        areas,
        records,
        page: pageFolder(root, folder, io.env.LOWRANK_DENO || Deno.execPath()),
        checkData: checkInThread(),
        log: isOn(flags, "quiet") ? () => {} : (entry) => log(accessLine(entry)),
        logFailure: (message, error) =>
          log(`error: ${message}: ${error instanceof Error ? error.stack : error}`),
        mostCrashes: options.mostCrashes,
      });
      const http = Deno.serve(
        {
          hostname: options.host,
          port: options.port,
          onListen: ({ hostname, port }) => {
            const host = hostname.includes(":") ? `[${hostname}]` : hostname;
            const who = anonymous ? "no tokens: for programs of this machine only" : "with tokens";
            io.stdout.write(
              `serving http://${host}:${port}/v1 (${who})\nthe page is http://${host}:${port}/\n`,
            );
          },
        },
        (request, { remoteAddr }) =>
          server.app.fetch(request, "hostname" in remoteAddr ? { remoteAddress: remoteAddr.hostname } : {}),
      );
      await stopSignal(signal);
      log("stopping: running jobs save a checkpoint; a second signal stops at once");
      await server.stop();
      await Promise.race([http.shutdown(), new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
      await records.close();
      throw signal.reason;
    });
  } finally {
    database.close();
    lock.close();
  }
}

function stopSignal(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** @throws {ConfigError} If another server holds it. */
async function holdFolder(folder: string): Promise<Deno.FsFile> {
  const file = await Deno.open(`${folder}/${LOCK_FILE}`, { write: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new ConfigError([{ path: "--data-dir", message: `"${folder}" is in use by another server` }]);
}

/** A line of the log, in visible ASCII whatever the request held. */
export function accessLine({ requestId, method, path, status, ms, tokenId, error }: AccessEntry): string {
  const failure = error === undefined ? "" : `\n${error instanceof Error ? error.stack : error}`;
  const shown = encodeURI(path.slice(0, 300).toWellFormed()); // a decoded path may hold line ends
  return `${new Date().toISOString()} ${method} ${shown} ${status} ${ms.toFixed(1)} ms ${requestId} ${
    tokenId ?? "-"
  }${failure}`;
}

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** @throws {ConfigError} With everything that is wrong. */
function optionsOf(flags: ParsedFlags) {
  const issues: ConfigIssue[] = [...flags.issues];
  for (const word of flags.positionals) issues.push({ path: `"${word}"`, message: "is not expected" });
  const number = (name: string, fallback: number, least: number, most: number) => {
    const text = textOf(flags, name), value = /^\d{1,9}$/.test(text ?? "") ? Number(text) : NaN;
    if (text === null) return fallback;
    if (value >= least && value <= most) return value;
    const path = `--${name.replaceAll("_", "-")}`;
    issues.push({
      path,
      message: `must be a whole number from ${least} to ${most}: current value is "${text}"`,
    });
    return fallback;
  };
  const allowedOrigins = (textOf(flags, "allow_origin") ?? "").split(",").map((text) => text.trim()).filter(
    Boolean,
  );
  for (const origin of allowedOrigins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    const message = `"${origin}" is not an origin: write it like https://tune.example.com`;
    issues.push({ path: "--allow-origin", message });
  }
  let grants: readonly StorageGrant[] = [];
  try {
    grants = parseStorageGrants(textOf(flags, "storage") ?? "");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues);
  }
  const launcher = launcherOptions(flags, number, issues);
  const count = number("slots", 1, 1, launcher.kind === "kubernetes" ? 10_000 : 64);
  const slotEnv = textOf(flags, "slot_env");
  const envs = slotEnv === null ? [] : variableSets(slotEnv, "--slot-env", issues);
  if (envs.length > 0 && envs.length !== count) {
    const message = `names ${envs.length} slots, but --slots is ${count}: give one set of variables for each`;
    issues.push({ path: "--slot-env", message });
  }
  const options = {
    host: textOf(flags, "host") ?? "127.0.0.1",
    port: number("port", 8000, 0, 65_535),
    modelsFolder: textOf(flags, "models_dir"),
    launcher,
    grants,
    firestore: {
      project: textOf(flags, "firestore_project"),
      collection: textOf(flags, "firestore_collection") ?? undefined,
    },
    mostCrashes: number("max_crashes", 3, 0, 1000),
    slots: Array.from({ length: count }, (_, i): Slot => ({ name: `slot ${i}`, env: envs[i] ?? {} })),
    settings: {
      allowedOrigins,
      maxFileBytes: number("max_file_mb", Math.floor(DEFAULT_SETTINGS.maxFileBytes / 1e6), 1, 1_000_000) *
        1e6,
      requestsPerSecond: number("max_requests", DEFAULT_SETTINGS.requestsPerSecond, 1, 1_000_000),
      maxEventStreams: number("max_streams", DEFAULT_SETTINGS.maxEventStreams, 1, 1_000_000),
      maxCallerStreams: number("max_caller_streams", DEFAULT_SETTINGS.maxCallerStreams, 1, 1_000_000),
      maxGenerations: number("max_chats", DEFAULT_SETTINGS.maxGenerations, 1, 10_000),
      generationIdleMs: number("chat_idle_seconds", DEFAULT_SETTINGS.generationIdleMs / 1000, 1, 1_000_000) *
        1000,
      maxQueuedJobs: number("max_queued_jobs", DEFAULT_SETTINGS.maxQueuedJobs, 1, 1_000_000),
    },
  };
  if (issues.length > 0) throw new ConfigError(issues);
  return { ...options, modelsFolder: options.modelsFolder && absolute(options.modelsFolder) };
}

function absolute(path: string): string {
  return path.startsWith("/") ? path.replace(/(?<=.)\/+$/, "") : `${Deno.cwd()}/${path.replace(/\/+$/, "")}`;
}
