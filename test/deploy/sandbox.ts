/**
 * Runs commands in a folder as if it were a container's root: own processes, mounts and network, by `unshare` and
 * `chroot`. Needs root.
 *
 * @module
 */

/** What a command sees and may do. */
export interface SandboxOptions {
  /** The folder that is the root. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** `uid:gid`; default root. */
  readonly user?: string;
  readonly cwd?: string;
  /** Whether the machine's network, names and certificates are lent; default not. */
  readonly network?: boolean;
  /** Whether all but /tmp and the mounts is read-only. */
  readonly readOnly?: boolean;
  /** Folders or files of the machine, by path within. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** The memory limit of the control group that the command finds itself in (version 2), bytes. It is told, not kept. */
  readonly memoryBytes?: number;
}

/** How a command ended. */
export interface SandboxResult {
  readonly code: number;
  readonly text: string;
  readonly seconds: number;
}

const DEVICES = ["null", "zero", "full", "random", "urandom"];
const CERTIFICATES = "/run/certificates.pem";
const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The shell's words that make the sandbox and turn into the command, whose process has number 1. */
function script(argv: readonly string[], options: SandboxOptions): string {
  const { root, env, user = "0:0", cwd = "/", network, readOnly, mounts = {}, memoryBytes } = options;
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
    ...(memoryBytes === undefined ? [] : [
      `mkdir -p ${quote(`${root}/sys/fs/cgroup`)}`,
      `echo ${memoryBytes} > ${quote(`${root}/sys/fs/cgroup/memory.max`)}`,
      `echo 0::/ > ${quote(`${root}/sys/group`)}`,
      `mount --bind ${quote(`${root}/sys/group`)} ${quote(`${root}/proc/1/cgroup`)}`,
    ]),
    ...(readOnly ? [`mount -o remount,bind,ro ${quote(root)}`] : []),
    `exec chroot --userspec=${user} ${quote(root)} /usr/bin/env -i ${variables.join(" ")} sh -c ${
      quote(`cd ${quote(cwd)} && exec "$@"`)
    } sh ${argv.map(quote).join(" ")}`,
  ].join("\n");
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
  const flags = ["--mount", "--pid", "--fork", "--kill-child", ...(options.network ? [] : ["--net"])];
  const child = new Deno.Command("unshare", {
    args: [...flags, "sh", "-c", `exec 2>&1\n${script(argv, options)}`],
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
    return { code, text: new TextDecoder().decode(stdout), seconds: (performance.now() - began) / 1e3 };
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
