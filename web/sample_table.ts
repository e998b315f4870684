/**
 * Answers to the same held-out prompts before training and after, side by side.
 *
 * @module
 */
import type { TrainingEvent } from "../src/job.ts";
import { percent } from "./token_accuracy.ts";

type SampledEvent = Extract<TrainingEvent, { type: "sampled" }>;

/** How many answers are exactly what was expected, in a sentence; empty where only a few were asked for. */
export function exactSummary(before: SampledEvent, now: SampledEvent): string {
  if (before.exactMatch === null || now.exactMatch === null) return "";
  const course = before === now
    ? percent(now.exactMatch)
    : `${percent(before.exactMatch)} at step ${before.step}, ${percent(now.exactMatch)} at step ${now.step}`;
  return `Exactly right of ${now.rows} held-out answers: ${course}.`;
}

export class SampleTable {
  readonly #section: HTMLElement;
  #first: SampledEvent | null = null;

  /** @param section Holds a paragraph for the summary and a table with a body. */
  constructor(section: HTMLElement) {
    this.#section = section;
  }

  /** Forgets the answers of an earlier run. */
  clear(): void {
    this.#first = null;
    this.#section.hidden = true;
  }

  show(event: SampledEvent): void {
    const first = this.#first ??= event;
    this.#section.hidden = false;
    this.#section.querySelector("p")!.textContent = exactSummary(first, event);
    this.#section.querySelector("tbody")!.replaceChildren(
      ...event.samples.map(({ prompt, expected, answer }, i) => {
        const before = first.samples[i]?.answer ?? "";
        const row = document.createElement("tr");
        row.append(
          cell(prompt),
          cell(expected),
          cell(judged(before, expected)),
          cell(event === first ? "" : judged(answer, expected)),
        );
        return row;
      }),
    );
  }
}

/** An answer, ticked where it is exactly right. */
function judged(answer: string, expected: string): string {
  return answer.trim() === expected.trim() ? `✓ ${answer}` : answer;
}

function cell(text: string): HTMLTableCellElement {
  const element = document.createElement("td");
  element.textContent = text.trim();
  return element;
}
