/**
 * The stages of a job, read off its events: which one is under way, and how long each took.
 *
 * @module
 */
import type { JobStage, TrainingEvent } from "./job.ts";

/** A stage on the wall clock, milliseconds since 1970. */
export interface StageSpan {
  readonly stage: JobStage;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Follows one job. */
export class RunStages {
  readonly #now: () => number;
  #current: { readonly stage: JobStage; readonly startedAt: number } | null = null;

  /** @param now Milliseconds since 1970. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** The stage under way; null before the first and after the last. */
  get current(): JobStage | null {
    return this.#current?.stage ?? null;
  }

  /** Takes every event. @returns The stage that is over with it; null if none is. */
  add(event: TrainingEvent): StageSpan | null {
    const stage = stageOf(event);
    if (stage === null || stage === this.#current?.stage) return null;
    const over = this.end();
    this.#current = { stage, startedAt: over?.endedAt ?? this.#now() };
    return over;
  }

  /** Ends the stage under way. @returns It; null if none was. */
  end(): StageSpan | null {
    const current = this.#current;
    this.#current = null;
    return current && { ...current, endedAt: this.#now() };
  }
}

/** The stage that an event belongs to; null where it does not tell. */
function stageOf(event: TrainingEvent): JobStage | null {
  if (event.type === "phase") return event.stage ?? null;
  return event.type === "transfer" ? event.direction : null;
}
