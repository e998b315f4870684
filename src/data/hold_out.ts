/**
 * Examples that are held out of the training files to evaluate on, and whether what is evaluated on is trained on too.
 *
 * @module
 */
import { permutation, STREAM } from "../random.ts";
import type { CutReading } from "./reading.ts";

/** Examples that are held out. */
export interface HeldOut {
  readonly count: number;
  readonly has: (example: number) => boolean;
}

/** Examples held out of the training files where none come from files of their own. */
export function heldOut(
  training: CutReading,
  evaluation: CutReading | null,
  { trainTestSplit, seed }: { readonly trainTestSplit: number; readonly seed: number },
): HeldOut {
  const examples = training.hashes.length, share = evaluation ? 0 : trainTestSplit;
  const wanted = Math.max(Math.round(examples * share), share > 0 ? 1 : 0);
  const count = Math.max(0, Math.min(wanted, examples - 1));
  if (count === 0) return { count, has: () => false };
  const marks = new Uint8Array(examples);
  for (const example of permutation(examples, { seed, stream: STREAM.split }).subarray(0, count)) {
    marks[example] = 1;
  }
  return { count, has: (example) => marks[example] === 1 };
}

/** How many examples are held out, and how many of them are also trained on. */
export function leaks(
  training: CutReading,
  evaluation: CutReading | null,
  held: HeldOut,
): { readonly heldOut: number; readonly leaked: number } {
  if (!evaluation) {
    const { hashes } = training, isHeld = (example: number) => held.has(example);
    return { heldOut: held.count, leaked: hashes.alsoIn(hashes, isHeld, (example) => !held.has(example)) };
  }
  const every = () => true;
  return {
    heldOut: evaluation.hashes.length,
    leaked: evaluation.hashes.alsoIn(training.hashes, every, every),
  };
}

/** What the leaks mean, in words; empty if there are none. */
export function leakWarnings({ heldOut, leaked }: { heldOut: number; leaked: number }): string[] {
  return leaked === 0 ? [] : [
    `${leaked} of ${heldOut} evaluation rows are also among the training rows: the evaluation loss looks better ` +
    "than it is",
  ];
}
