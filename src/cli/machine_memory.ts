/**
 * The memory that this process may take: the machine's, or less where a container's limit holds.
 *
 * @module
 */
import process from "node:process";

/** Memory for one process, bytes. */
export interface MachineMemory {
  /** What the machine has, or the limit where that is less. */
  readonly totalBytes: number;
  readonly availableBytes: number;
  /** The limit of the control group that holds this process, as a container's; null without one. */
  readonly limitBytes: number | null;
}

/** Memory of a machine within a limit of which this process holds a part already. All in bytes; a limit of 0 is none. */
export function memoryWithin(
  machine: { readonly total: number; readonly available: number },
  limit: number,
  resident: number,
): MachineMemory {
  // A control group without a limit says 0, or a number that no machine has.
  if (limit <= 0 || limit >= machine.total) {
    return { totalBytes: machine.total, availableBytes: machine.available, limitBytes: null };
  }
  return {
    totalBytes: limit,
    availableBytes: Math.min(machine.available, Math.max(0, limit - resident)),
    limitBytes: limit,
  };
}

/**
 * Memory of this machine or container. The system tells the machine's alone, also within a container, whose limit is its
 * control group's (`memory.max` in version 2). What else runs in the group is not counted: a container runs one command.
 */
export function machineMemory(): MachineMemory {
  return memoryWithin(Deno.systemMemoryInfo(), process.constrainedMemory(), Deno.memoryUsage().rss);
}
