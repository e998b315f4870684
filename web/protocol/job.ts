/**
 * A job as the page has it: its options, what it would be, and how far something is.
 *
 * @module
 */
import type { QuantizationPlan, RunSummary } from "../../src/job.ts";

/** Options of a job by wire name, as config files have them. */
export type Wire = Readonly<Record<string, unknown>>;

/** How far something that counts in bytes is. */
export interface ByteProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What a run would be and take. */
export interface JobPlan {
  readonly summary: RunSummary;
  /** Empty for a model that is quantised already. */
  readonly quantizations: readonly QuantizationPlan[];
  readonly warnings: readonly string[];
}
