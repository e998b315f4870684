/**
 * What the tests said of a planted fault.
 *
 * @module
 */
import { readTotals } from "../helpers/test_lanes.ts";
import type { Mutant } from "./mutant.ts";

/** How one run of tests ended. */
export interface TestRun {
  readonly success: boolean;
  readonly timedOut: boolean;
  readonly output: string;
}

/** `broken`: the faulty text does not even run, which proves nothing about the tests. */
export type Verdict = "killed" | "survived" | "broken" | "timed out";

/** A fault whose text no compiler takes, or that a module refuses when it is imported. */
const DOES_NOT_RUN = /Cannot compile kernel|and its WGSL differ|\(uncaught error\)/;

/** A fault is killed by a test that ran and failed; one that is said to hang, by tests that never end. */
export function judge({ hangs = false }: Pick<Mutant, "hangs">, run: TestRun): Verdict {
  if (run.timedOut) return hangs ? "killed" : "timed out";
  if (run.success) return "survived";
  const failed = readTotals(run.output)?.failed ?? 0;
  return failed > 0 && !DOES_NOT_RUN.test(run.output) ? "killed" : "broken";
}
