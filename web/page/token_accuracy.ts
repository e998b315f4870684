/**
 * Token accuracy, the share of labelled tokens that got the largest logit, in words: of the training steps and of the evaluations.
 *
 * @module
 */
import type { TrainingEvent } from "../../src/job.ts";
import { percent } from "../figures.ts";

/** A share of tokens after some steps, 0..1. */
interface SharePoint {
  readonly step: number;
  readonly share: number;
}

export class TokenAccuracy {
  #training: SharePoint[] = [];
  #evaluations: SharePoint[] = [];

  /** Takes step and evaluation events; ignores others. */
  add(event: TrainingEvent): void {
    if (event.type === "step" && event.tokenAccuracy !== undefined) {
      this.#training.push({ step: event.step, share: event.tokenAccuracy });
    } else if (event.type === "evaluated" && event.evalTokenAccuracy !== undefined) {
      this.#evaluations.push({ step: event.step, share: event.evalTokenAccuracy });
    }
  }

  /** Forgets what came after a step: the run goes on from there. */
  cutAfter(step: number): void {
    this.#training = this.#training.filter((point) => point.step <= step);
    this.#evaluations = this.#evaluations.filter((point) => point.step <= step);
  }

  clear(): void {
    this.cutAfter(-1);
  }

  /** First and last in a sentence, such as `Token accuracy: training 2.1 % → 45.2 %, evaluation 1.9 % → 40.3 %.` */
  get summary(): string {
    const course = (what: string, points: readonly SharePoint[]) => {
      if (points.length === 0) return [];
      const ends = points.length === 1 ? points : [points.at(0)!, points.at(-1)!];
      return [`${what} ${ends.map(({ share }) => percent(share)).join(" → ")}`];
    };
    const parts = [...course("training", this.#training), ...course("evaluation", this.#evaluations)];
    return parts.length === 0 ? "" : `Token accuracy: ${parts.join(", ")}.`;
  }
}
