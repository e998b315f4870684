/**
 * Resident memory of a process, as Linux counts it. Other systems tell nothing here, and Deno only with --allow-all.
 *
 * @module
 */

/** Most bytes that were resident at once, from the text of /proc/PID/status; null where it is not told. */
export function readPeakResident(status: string): number | null {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? null : 1024 * Number(kibibytes);
}

/** The same of a running process; null once it has ended, and on other systems than Linux. */
export async function peakResidentOf(pid: number | "self"): Promise<number | null> {
  return readPeakResident(await Deno.readTextFile(`/proc/${pid}/status`).catch(() => ""));
}
