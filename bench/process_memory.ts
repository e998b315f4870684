/**
 * Memory and processor time of a process, as Linux counts them. Other systems tell nothing here, and Deno only with
 * --allow-all.
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

/** Bytes of a running process that are resident now. @throws {Deno.errors.NotFound} Where the system does not tell. */
export async function residentOf(pid: number): Promise<number> {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await Deno.readTextFile(`/proc/${pid}/status`))!;
  return 1024 * Number(kibibytes);
}

/** Linux tells processor time in these. */
const TICKS_PER_SECOND = 100;

/** Processor time of all threads of a running process. @throws {Deno.errors.NotFound} Where the system does not tell. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" "); // a name may hold spaces
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
