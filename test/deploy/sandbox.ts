/**
 * Runs commands in a folder as if it were a container's root: own processes, mounts and network, by `unshare`, `chroot`
 * and `setpriv`. Needs root.
 *
 * @module
 */
import { ControlGroup } from "./control_group.ts";

/** What a command sees and may do. */
export interface SandboxOptions {
  /** The folder that is the root. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** `uid:gid`; default root. */
  readonly user?: string;
  /** Other groups of the user, numbers. */
  readonly groups?: readonly number[];
  /** Whether it may get no right of root's, by no program: no capabilities, no new privileges. Default not. */
  readonly isConfined?: boolean;
  readonly cwd?: string;
  /** Whether the machine's network, names and certificates are lent; default not. */
  readonly network?: boolean;
  /** Whether all but /tmp and the mounts is read-only. */
  readonly readOnly?: boolean;
  /** Folders or files of the machine, by path within. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** The memory limit of the control group that the command finds itself in, bytes. */
  readonly memoryBytes?: number;
  /** Whether the limit is only told to process 1, as by version 2 of control groups, and not kept. Default not. */
  readonly isLimitToldOnly?: boolean;
}

/** How a command ended. */
export interface SandboxResult {
  readonly code: number;
  readonly text: string;
  readonly seconds: number;
  /** Memory at most, files in the system's cache counted too, bytes; null without a limit that is kept. */
  readonly peakBytes: number | null;
}

const DEVICES = ["null", "zero", "full", "random", "urandom"];
const CERTIFICATES = "/run/certificates.pem";
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The shell's words that make the sandbox and turn into the command, whose process has number 1. */
function script(argv: readonly string[], options: SandboxOptions, group: ControlGroup | null): string {
  const { root, env, cwd = "/", network, readOnly, mounts = {}, memoryBytes } = options;
  const bind = (from: string, to: string) => [
    Deno.statSync(from).isDirectory ? `mkdir -p ${quote(root + to)}` : `touch ${quote(root + to)}`,
    `mount --bind ${quote(from)} ${quote(root + to)}`,
  ];
  const certificates = network ? Deno.env.get("SSL_CERT_FILE") : undefined;
  const lent: Record<string, string> = certificates
    ? Object.fromEntries(
      ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "DENO_CERT"].map((name) => [name, CERTIFICATES]),
    )
    : {};
  const variables = Object.entries({ ...lent, ...env }).map(([name, value]) => quote(`${name}=${value}`));
  return [
    "set -e",
    ...(group ? [`echo $$ > ${quote(group.processes)}`] : []),
    `mount --bind ${quote(root)} ${quote(root)}`,
    `mount -t proc proc ${quote(`${root}/proc`)}`,
    `mount -t tmpfs -o mode=755 none ${quote(`${root}/dev`)}`,
    ...DEVICES.flatMap((name) => bind(`/dev/${name}`, `/dev/${name}`)),
    `ln -s /proc/self/fd ${quote(`${root}/dev/fd`)}`,
    `mkdir -m 1777 ${quote(`${root}/dev/shm`)}`,
    `mount -t tmpfs -o mode=1777 none ${quote(`${root}/tmp`)}`,
    `mount -t tmpfs none ${quote(`${root}/sys`)}`,
    ...(network
      ? [...bind("/etc/resolv.conf", "/etc/resolv.conf"), ...bind("/etc/hosts", "/etc/hosts")]
      : []),
    ...(certificates ? bind(certificates, CERTIFICATES) : []),
    ...Object.entries(mounts).flatMap(([to, from]) => bind(from, to)),
    ...(group ? bind(group.folder, group.mountedAt) : []),
    ...(memoryBytes === undefined || group ? [] : [
      `mkdir -p ${quote(`${root}/sys/fs/cgroup`)}`,
      `echo ${memoryBytes} > ${quote(`${root}/sys/fs/cgroup/memory.max`)}`,
      `echo 0::/ > ${quote(`${root}/sys/group`)}`,
      `mount --bind ${quote(`${root}/sys/group`)} ${quote(`${root}/proc/1/cgroup`)}`,
    ]),
    ...(readOnly ? [`mount -o remount,bind,ro ${quote(root)}`] : []),
    // within a name space of its own the group is the root of all groups
    `exec ${group ? "unshare --cgroup " : ""}chroot ${quote(root)} ${userChange(options)} /usr/bin/env -i ${
      variables.join(" ")
    } sh -c ${quote(`cd ${quote(cwd)} && exec "$@"`)} sh ${argv.map(quote).join(" ")}`,
  ].join("\n");
}

/** The words that make root another user. */
function userChange({ user = "0:0", groups = [], isConfined = false }: SandboxOptions): string {
  const [uid, gid] = user.split(":");
  const others = groups.length === 0 ? "--clear-groups" : `--groups=${groups.join(",")}`;
  const rights = isConfined ? "--no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all" : "";
  return `setpriv --reuid=${uid} --regid=${gid} ${others} ${rights}`;
}

/** A command that runs in a sandbox. */
export interface SandboxProcess {
  /** Sends a signal to the command, which is process 1 there. */
  kill(signal: Deno.Signal): Promise<void>;
  readonly result: Promise<SandboxResult>;
}

/** Starts a command; what it leaves running ends with it. `timeoutSeconds` kills it: code 137. */
export function start(
  argv: readonly string[],
  options: SandboxOptions,
  timeoutSeconds = 600,
): SandboxProcess {
  const began = performance.now();
  const { memoryBytes, isLimitToldOnly = false } = options;
  const group = memoryBytes === undefined || isLimitToldOnly ? null : new ControlGroup(memoryBytes);
  const flags = ["--mount", "--pid", "--fork", "--kill-child", ...(options.network ? [] : ["--net"])];
  const child = new Deno.Command("unshare", {
    args: [...flags, "sh", "-c", `exec 2>&1\n${script(argv, options, group)}`],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const first = async () => {
    const text = await Deno.readTextFile(`/proc/${child.pid}/task/${child.pid}/children`);
    return Number(text.trim().split(" ")[0]);
  };
  const timer = setTimeout(() => void first().then((pid) => Deno.kill(pid, "SIGKILL")), timeoutSeconds * 1e3);
  const result = child.output().then(({ code, stdout }) => {
    clearTimeout(timer);
    const seconds = (performance.now() - began) / 1e3, peakBytes = group?.close() ?? null;
    return { code, text: new TextDecoder().decode(stdout), seconds, peakBytes };
  });
  return {
    async kill(signal) {
      Deno.kill(await first(), signal);
    },
    result,
  };
}

/** Runs a command to its end. */
export function run(
  argv: readonly string[],
  options: SandboxOptions,
  timeoutSeconds?: number,
): Promise<SandboxResult> {
  return start(argv, options, timeoutSeconds).result;
}
