/**
 * A memory limit that the kernel keeps, by a control group of this machine, of either version. Needs root.
 *
 * @module
 */

const ROOT = "/sys/fs/cgroup";

/** Names of files that differ. */
const VERSIONS = [
  { parent: `${ROOT}/memory`, limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" },
  { parent: ROOT, limit: "memory.max", peak: "memory.peak" },
] as const;

/** A group for one command. */
export class ControlGroup {
  /** A process that writes its number here is in it, with all that it starts. */
  readonly processes: string;
  readonly folder: string;
  /** Where a container sees it. */
  readonly mountedAt: string;
  readonly #peak: string;

  /** @throws {Error} If this machine lets nobody make one. */
  constructor(memoryBytes: number) {
    const version = VERSIONS.find(({ parent, limit }) =>
      [limit, "cgroup.controllers"].some((file) => existsSync(`${parent}/${file}`))
    );
    if (!version) throw new Error(`Cannot limit memory: no control groups for it in "${ROOT}"`);
    this.mountedAt = version.parent;
    this.folder = `${version.parent}/lowrank-${crypto.randomUUID().slice(0, 8)}`;
    Deno.mkdirSync(this.folder);
    Deno.writeTextFileSync(`${this.folder}/${version.limit}`, String(memoryBytes));
    this.#peak = `${this.folder}/${version.peak}`;
    this.processes = `${this.folder}/cgroup.procs`;
  }

  /** Removes it once nothing runs in it. @returns The memory that was taken at most, bytes. */
  close(): number {
    const peak = Number(Deno.readTextFileSync(this.#peak));
    Deno.removeSync(this.folder);
    return peak;
  }
}

function existsSync(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
