/**
 * Answers to the same held-out prompts, before training and now.
 *
 * @module
 */
import type { Sample } from "../src/job.ts";
import { percent } from "./figures.ts";

/** One round of answers. */
export interface Round {
  readonly step: number;
  readonly samples: readonly Sample[];
  /** Share of exact answers, 0..1; null where only the samples were answered. */
  readonly exactMatch: number | null;
  /** Held-out rows answered; null where nobody kept it. */
  readonly rows: number | null;
}

/** How many answers are exactly what was expected, in a sentence; empty where only a few were asked for. */
export function exactSummary(before: Round, now: Round): string {
  if (before.exactMatch === null || now.exactMatch === null) return "";
  const course = before.step === now.step
    ? percent(now.exactMatch)
    : `${percent(before.exactMatch)} at step ${before.step}, ${percent(now.exactMatch)} at step ${now.step}`;
  return `Exactly right of ${now.rows ?? "the"} held-out answers: ${course}.`;
}
