/**
 * How much work goes into one submission. A GPU that draws a screen draws nothing while a submission runs, and some
 * systems reset a GPU that is busy for two seconds; few large submissions are the fastest elsewhere.
 *
 * @module
 */
import type { Launch } from "./launch.ts";

/** A byte moved takes about as long as so many floating-point operations. */
const UNITS_PER_BYTE = 16;
/** A launch costs something whatever it does. */
const UNITS_PER_LAUNCH = 1e5;
/** Runs that are timed at first, and one of so many later: waiting for each would keep the GPU idle in between. */
const TIMED_AT_FIRST = 3, TIMED_EVERY = 64;
/** Weight of the newest measurement in the estimate. */
const SMOOTHING = 0.5;

/** What a launch takes, in units that are about one floating-point operation. */
export function unitsOf(
  { flops, bytesRead, bytesWritten }: Pick<Launch, "flops" | "bytesRead" | "bytesWritten">,
): number {
  return UNITS_PER_LAUNCH + Math.max(flops, UNITS_PER_BYTE * (bytesRead + bytesWritten));
}

/**
 * Sizes submissions by how long earlier ones took.
 *
 * @internal
 */
export class Pacer {
  /** Wanted length of a submission, ms; Infinity for all at once. */
  readonly targetMs: number;
  #msPerUnit: number;
  #runs = 0;
  #freeAt = -Infinity;

  /** `unitsPerSecond` is the guess before anything was timed; a low one only makes the first submissions short. */
  constructor(targetMs: number, unitsPerSecond: number) {
    if (!(targetMs > 0)) {
      throw new RangeError(`A submission must last longer than 0 ms: wanted is ${targetMs}`);
    }
    this.targetMs = targetMs;
    this.#msPerUnit = 1000 / unitsPerSecond;
  }

  /** Units that one submission may hold; a launch that is larger goes alone. */
  get unitsPerSubmission(): number {
    return this.targetMs / this.#msPerUnit;
  }

  /** Whether the run that comes next is worth timing. */
  nextIsTimed(): boolean {
    if (this.targetMs === Infinity) return false;
    const run = this.#runs++;
    return run < TIMED_AT_FIRST || run % TIMED_EVERY === 0;
  }

  /** Takes in that work submitted at one time was done at another, both in ms; the GPU may have been busy before it. */
  note(units: number, submittedAt: number, doneAt: number): void {
    const started = Math.max(submittedAt, this.#freeAt);
    this.#freeAt = doneAt;
    if (units > 0 && doneAt > started) {
      this.#msPerUnit += SMOOTHING * ((doneAt - started) / units - this.#msPerUnit);
    }
  }
}
