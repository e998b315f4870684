/**
 * The server as a process of its own, as users start it.
 *
 * @module
 */
import { type Ended, ended, LAUNCHER } from "./run_launcher.ts";

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const RIGHTS = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-run", "--allow-net"];

function command(
  args: readonly string[],
  { env = {}, launched = false }: ServerProcessOptions = {},
): Deno.Command {
  const rights = ["--quiet", "--unstable-no-legacy-abort", "--config", `${ROOT}deno.json`, ...RIGHTS];
  return new Deno.Command(launched ? "/bin/sh" : Deno.execPath(), {
    args: launched ? [LAUNCHER, ...args] : ["run", ...rights, `${ROOT}server/main.ts`, ...args],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs `serve` or `token` to its end. */
export async function serverCommand(...args: string[]): Promise<Ended> {
  return ended(await command(args).output());
}

/** A new token of a data folder, with all scopes unless some are named. @throws {Error} If none was made. */
export async function newToken(folder: string, name: string, ...scopes: string[]): Promise<string> {
  const limited = scopes.length > 0 ? ["--scopes", scopes.join(",")] : [];
  const { code, out, err } = await serverCommand(
    "token",
    "create",
    "--name",
    name,
    "--data-dir",
    folder,
    ...limited,
  );
  if (code !== 0) throw new Error(err);
  return out.trim();
}

/** How a server is started. */
export interface ServerProcessOptions {
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether by the launcher, with no more rights than it gives. Default: by Deno, with more. */
  readonly launched?: boolean;
}

/** A server that listens. */
export interface ServerProcess {
  /** Such as `http://127.0.0.1:40123`. */
  readonly origin: string;
  readonly pid: number;
  /** What it has printed where it listens, such as `(no tokens: ...)`. */
  readonly greeting: string;
  kill(signal: Deno.Signal): void;
  /** Ends it in good order, unless it has ended. @returns Its exit code, and what it logged. */
  stop(): Promise<{ readonly code: number; readonly err: string }>;
}

/** Starts `lowrank serve` over a data folder at a free port of loopback. @throws {Error} If it ends before it listens. */
export async function startServer(
  folder: string,
  args: readonly string[] = [],
  options: ServerProcessOptions = {},
): Promise<ServerProcess> {
  const child = command(["serve", "--port", "0", "--data-dir", folder, ...args], options).spawn();
  const err = new Response(child.stderr).text();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const greeting = (await lines.read()).value ?? "";
  lines.releaseLock();
  const [, origin] = /^serving (http:\S+)\/v1 /.exec(greeting) ?? [];
  const stop = async () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // it has ended
    }
    const { code } = await child.status;
    return { code, err: await err };
  };
  if (origin === undefined) throw new Error(`the server ended before it listened: ${(await stop()).err}`);
  return { origin, pid: child.pid, greeting, kill: (signal) => child.kill(signal), stop };
}
