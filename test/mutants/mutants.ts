/**
 * All faults that a test must notice. A new kernel, layer or format brings its own; where the text of one changes, its
 * entry changes with it, which `mutants_test.ts` sees to.
 *
 * @module
 */
import { EVALUATION_MUTANTS } from "./evaluation_mutants.ts";
import { EXPORT_MUTANTS } from "./export_mutants.ts";
import { KERNEL_MUTANTS } from "./kernel_mutants.ts";
import { LIBRARY_MUTANTS } from "./library_mutants.ts";
import type { Mutant } from "./mutant.ts";
import { QUANT_MUTANTS } from "./quant_mutants.ts";

export type { Mutant } from "./mutant.ts";

export const MUTANTS: readonly Mutant[] = [
  ...KERNEL_MUTANTS,
  ...LIBRARY_MUTANTS,
  ...QUANT_MUTANTS,
  ...EVALUATION_MUTANTS,
  ...EXPORT_MUTANTS,
];

/** Number of times that a text stands in another. */
export function occurrences(text: string, find: string): number {
  return text.split(find).length - 1;
}
