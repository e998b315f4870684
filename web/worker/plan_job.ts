/**
 * What a job would be and take, from a dry run of the job itself.
 *
 * @module
 */
import type { FineTuneJobConfig } from "../../src/config.ts";
import { SharedReadings } from "../../src/data/shared_readings.ts";
import { createFineTuneJob } from "../../src/fine_tune_job.ts";
import type { QuantizationPlan, RunSummary } from "../../src/job.ts";
import type { JobPlan } from "../protocol/job.ts";
import type { PageFiles } from "./page_files.ts";

/** @throws As `FineTuneJob.run()`, `GpuMemoryError` with what would fit among it. */
export async function planJob(
  config: FineTuneJobConfig,
  files: Pick<PageFiles, "at">,
  signal: AbortSignal,
  readings: SharedReadings = new SharedReadings(),
): Promise<JobPlan> {
  let summary: RunSummary | null = null, quantizations: readonly QuantizationPlan[] = [];
  const warnings: string[] = [];
  // a run of this name is replaced on starting, so that what it holds is no hindrance
  const { job } = config, replacing = { ...config, job: { ...job, overwrite: true } };
  const deps = { files: files.at, readings, dryRun: true, signal };
  for await (const event of createFineTuneJob(replacing, deps).run()) {
    if (event.type === "started") summary = event.summary;
    if (event.type === "planned") quantizations = event.quantizations;
    if (event.type === "warning") warnings.push(event.message);
  }
  return { summary: summary!, quantizations, warnings };
}
