/**
 * Answers to the same held-out prompts, before training and now.
 *
 * @module
 */
import type { Sample } from "../../src/job.ts";
import { counted, percent } from "../figures.ts";

/** One round of answers. */
export interface Round {
  readonly step: number;
  readonly samples: readonly Sample[];
  /** Share of exact answers, 0..1; null where only the samples were answered. */
  readonly exactMatch: number | null;
  /** Held-out rows answered; null where nobody kept it. */
  readonly rows: number | null;
}

/** Rounds with one more, by step; one of the same step is replaced. */
export function withRound(rounds: readonly Round[], round: Round): readonly Round[] {
  return [...rounds.filter(({ step }) => step !== round.step), round].sort((a, b) => a.step - b.step);
}

/** Answers that are not what they were, such as `3 of 5 answers changed since step 20.` */
export function changeSummary(before: Round, now: Round): string {
  const changed = now.samples.filter(({ answer }, i) => answer !== before.samples[i]?.answer).length;
  return `${changed} of ${counted(now.samples.length, "answer")} changed since step ${before.step}.`;
}

/** How many answers are exactly what was expected, in a sentence; empty where only a few were asked for. */
export function exactSummary(rounds: readonly Round[]): string {
  const counting = rounds.filter(({ exactMatch }) => exactMatch !== null), [before] = counting;
  const now = counting.at(-1);
  if (!before || !now) return "";
  const course = before.step === now.step
    ? percent(now.exactMatch!)
    : `${percent(before.exactMatch!)} at step ${before.step}, ${
      percent(now.exactMatch!)
    } at step ${now.step}`;
  return `Exactly right of ${now.rows ?? "the"} held-out answers: ${course}.`;
}
