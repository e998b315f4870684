/**
 * How much memory the GPU has, as the user says: browsers do not tell. It is the limit of runs.
 *
 * @module
 */
import type { Wire } from "../protocol/job.ts";
import type { JobForm } from "./job_form.ts";
import { keepChoice, keptChoice } from "./kept_choice.ts";

const NAME = "gpu memory";

/** The option that an earlier visit's answer gives a job. */
export function keptGpuMemory(): Wire {
  const gigabytes = Number(keptChoice(NAME) ?? NaN);
  return gigabytes > 0 ? { memory_limit_gb: gigabytes } : {};
}

/** @param gigabytes 10⁹ bytes; null for not known. */
export function setGpuMemory(form: JobForm, gigabytes: number | null): void {
  form.set({ memory_limit_gb: gigabytes ?? undefined });
  keepChoice(NAME, gigabytes === null ? null : String(gigabytes));
}
