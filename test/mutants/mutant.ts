/** One fault, planted into a copy of the tree to see whether a test notices it. */
export interface Mutant {
  /** What is wrong, for people; no two are alike. */
  readonly name: string;
  /** Path from the root. */
  readonly file: string;
  /** Text that stands there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Test files of which at least one must fail. */
  readonly tests: readonly string[];
  /** Whether the fault shows as tests that never end; otherwise a run out of time proves nothing. */
  readonly hangs?: boolean;
}

/** Faults of one file that the same tests should notice: name, text, and what takes its place. */
export function inFile(
  file: string,
  tests: readonly string[],
  faults: readonly (readonly [name: string, find: string, replace: string])[],
): Mutant[] {
  return faults.map(([name, find, replace]) => ({ name, file, find, replace, tests }));
}
