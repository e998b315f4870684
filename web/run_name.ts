/**
 * Names of runs: one that is kept is never replaced by another run.
 *
 * @module
 */

/** The wanted name, with the next free number after it where a run of that name is kept: `signals`, `signals-2`. */
export function freeRunName(wanted: string, kept: Iterable<string>): string {
  const taken = new Set(kept);
  if (!taken.has(wanted)) return wanted;
  const [, stem, number] = /^(.*?)(?:-(\d{1,6}))?$/s.exec(wanted)!;
  for (let next = Number(number ?? 1) + 1;; next++) {
    const name = `${stem}-${next}`;
    if (!taken.has(name)) return name;
  }
}
