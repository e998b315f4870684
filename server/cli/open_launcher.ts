/**
 * Where the jobs of a server run, as its flags say.
 *
 * @module
 */
import type { ParsedFlags } from "../../src/cli/flags.ts";
import { textOf } from "../../src/cli/generate_flags.ts";
import { didYouMean } from "../../src/config/nearest.ts";
import { ConfigError, type ConfigIssue } from "../../src/errors.ts";
import { openCluster } from "../launchers/cluster.ts";
import { readTemplate } from "../launchers/job_manifest.ts";
import { KubernetesLauncher } from "../launchers/kubernetes.ts";
import type { JobLauncher } from "../launchers/launcher.ts";
import { LocalLauncher } from "../launchers/local.ts";
import { MpiLauncher } from "../launchers/mpi.ts";

/** Rights of a job's process: those of `lowrank train`. */
const JOB_RIGHTS = ["--no-prompt", "--allow-read", "--allow-write", "--allow-env", "--allow-sys"];

const KINDS = ["local", "mpi", "kubernetes"] as const;

/** What the flags say. */
export interface LauncherOptions {
  readonly kind: (typeof KINDS)[number];
  readonly ranks: number;
  /** Path of the manifest. */
  readonly template: string | null;
  readonly namespace: string | null;
}

/** Flags that only one kind of launcher knows. */
const OF_KIND = { ranks: "mpi", job_template: "kubernetes", namespace: "kubernetes" } as const;

/** Reads the flags; what is wrong is added to the issues. @param number Reads one that is a number. */
export function launcherOptions(
  flags: ParsedFlags,
  number: (name: string, fallback: number, least: number, most: number) => number,
  issues: ConfigIssue[],
): LauncherOptions {
  const word = textOf(flags, "launcher") ?? "local";
  const kind = KINDS.find((one) => one === word);
  if (!kind) {
    const message = `must be one of ${KINDS.join(", ")}: current value is "${word}"${
      didYouMean(word, KINDS)
    }`;
    issues.push({ path: "--launcher", message });
  }
  for (const [name, owner] of Object.entries(OF_KIND)) {
    if (!kind || kind === owner || textOf(flags, name) === null) continue;
    issues.push({ path: `--${name.replace("_", "-")}`, message: `is for --launcher ${owner}` });
  }
  const template = textOf(flags, "job_template");
  if (kind === "kubernetes" && template === null) {
    const message = "is missing: name a manifest such as deploy/kubernetes/server-job.yaml";
    issues.push({ path: "--job-template", message });
  }
  const namespace = textOf(flags, "namespace");
  return { kind: kind ?? "local", ranks: number("ranks", 2, 1, 1024), template, namespace };
}

/**
 * @param command Of the process of a job, with its rights.
 * @throws {ConfigError} If Open MPI is missing, or the manifest cannot be used.
 */
export async function openLauncher(
  { kind, ranks, template, namespace }: LauncherOptions,
  command: (rights: readonly string[]) => [string, ...string[]],
): Promise<JobLauncher> {
  if (kind === "mpi") {
    await checkMpi();
    return new MpiLauncher({ command: command([...JOB_RIGHTS, "--allow-ffi"]), ranks });
  }
  if (kind === "kubernetes") {
    const text = await Deno.readTextFile(template!).catch((error: Error) => {
      throw new ConfigError([{
        path: "--job-template",
        message: `"${template}" cannot be read: ${error.message}`,
      }]);
    });
    return new KubernetesLauncher({
      template: readTemplate(text, template!),
      command: command(JOB_RIGHTS),
      open: () => openCluster(namespace),
    });
  }
  return new LocalLauncher({ command: command(JOB_RIGHTS) });
}

async function checkMpi(): Promise<void> {
  const asked = new Deno.Command("mpirun", { args: ["--version"], stdout: "null", stderr: "null" });
  const isThere = await asked.output().then(({ success }) => success, () => false);
  if (isThere) return;
  const message = "mpi needs Open MPI's mpirun: install it (Debian: apt-get install openmpi-bin)";
  throw new ConfigError([{ path: "--launcher", message }]);
}
