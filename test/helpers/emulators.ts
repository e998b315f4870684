/**
 * Servers that speak the protocols of the cloud, for tests. They are built or installed once, into the user's cache.
 *
 *     deno task emulators
 *
 * @module
 */
import { installPython } from "./python_packages.ts";

/** Where each server comes from; versions are those that the tests were written with. */
export const EMULATORS = {
  "fake-gcs-server": { go: "github.com/fsouza/fake-gcs-server@v1.56.1" },
  versitygw: { go: "github.com/versity/versitygw/cmd/versitygw@v1.8.0" },
  azurite: { npm: "azurite@3.35.0" },
} as const satisfies Record<string, { readonly go: string } | { readonly npm: string }>;

/** One of {@link EMULATORS}. */
export type EmulatorName = keyof typeof EMULATORS;

function cacheFolder(name: EmulatorName): string {
  const { LOWRANK_EMULATORS, XDG_CACHE_HOME, HOME } = Deno.env.toObject();
  const cache = LOWRANK_EMULATORS ?? `${XDG_CACHE_HOME || `${HOME}/.cache`}/lowrank/emulators`;
  const origin: { readonly go?: string; readonly npm?: string } = EMULATORS[name];
  return `${cache}/${name}-${(origin.go ?? origin.npm)!.split("@")[1]}`;
}

function programOf(name: EmulatorName): string {
  const program = name === "azurite" ? "node_modules/azurite/dist/src/blob/main.js" : name;
  return `${cacheFolder(name)}/${program}`;
}

/** The command that starts a server; null if it is not installed. */
export function emulatorCommand(name: EmulatorName): string[] | null {
  try {
    Deno.statSync(programOf(name));
  } catch {
    return null;
  }
  return name === "azurite" ? ["node", programOf(name)] : [programOf(name)];
}

/** Why tests against a server cannot run here; null if they can. */
export function withoutEmulator(name: EmulatorName): string | null {
  return emulatorCommand(name) ? null : `${name} is not installed: deno task emulators`;
}

/** Builds or installs a server unless it is there. @returns What was done, in words. */
export async function installEmulator(name: EmulatorName): Promise<string> {
  if (emulatorCommand(name)) return "is installed";
  const folder = cacheFolder(name);
  await Deno.mkdir(folder, { recursive: true });
  const origin: { readonly go?: string; readonly npm?: string } = EMULATORS[name];
  const [command, ...args] = origin.go ? ["go", "install", "-p=2", origin.go] : [
    "npm",
    "install",
    "--silent",
    "--no-audit",
    "--no-fund",
    "--ignore-scripts",
    "--prefix",
    folder,
    origin.npm!,
  ];
  try {
    const { success, stderr } = await new Deno.Command(command!, {
      args,
      env: { GOBIN: folder },
      stdout: "null",
      stderr: "piped",
    }).output();
    if (success) return "was installed";
    return `could not be installed: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `could not be installed: there is no ${command}`;
    throw error;
  }
}

/** A server that runs. */
export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A port that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Starts an installed server and waits until it listens. @throws {Error} If it ends or does not listen. */
export async function startEmulator(
  name: EmulatorName,
  args: (port: number) => readonly string[],
  env: Record<string, string> = {},
): Promise<RunningServer> {
  const port = freePort();
  const [command, ...first] = emulatorCommand(name)!;
  const child = new Deno.Command(command!, {
    args: [...first, ...args(port)],
    env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended: number | null = null;
  child.status.then(({ code }) => ended = code);
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch (error) {
      if (ended !== null) throw new Error(`${name} ended with code ${ended} before it listened`);
      if (tries > 1200) throw error; // a minute, on a busy machine
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    port,
    async stop() {
      if (ended === null) child.kill();
      await child.status;
    },
  };
}

/** Python packages of tests; what only tasks run, they install. */
const TEST_PACKAGES = ["openai", "kubernetes-validate", "google-api-python-client"] as const;

/** Installs all that tests run beside npm packages, and tells of each. */
export async function* installForTests(): AsyncGenerator<string> {
  for (const name of Object.keys(EMULATORS) as EmulatorName[]) yield `${name} ${await installEmulator(name)}`;
  for (const name of TEST_PACKAGES) yield `${name} for Python ${await installPython(name)}`;
}

if (import.meta.main) {
  for await (const line of installForTests()) console.log(line);
}
