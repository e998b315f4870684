/**
 * How far replayed losses are from recorded ones.
 *
 * @module
 */

/** Recorded losses, and how far a replay may be from each, relative. */
export interface Reference {
  /** Where the losses come from, for people. */
  readonly name: string;
  readonly losses: readonly number[];
  readonly limit: number;
}

/** PEFT's losses on a base in NF4 with double quantisation, as `make_nf4_curve.py` wrote them. */
export async function nf4Reference(): Promise<Reference> {
  const text = await Deno.readTextFile(new URL("nf4_curve.json", import.meta.url));
  return { name: "PEFT on an NF4 base", losses: JSON.parse(text).loss, limit: 5e-4 };
}

/** The largest relative distance of a loss from that of the same step. @throws {RangeError} If there are more of them. */
export function worstDistance(losses: readonly number[], { losses: wanted, name }: Reference): number {
  if (losses.length > wanted.length) {
    throw new RangeError(`Cannot compare ${losses.length} losses with ${name}, which has ${wanted.length}`);
  }
  return Math.max(...losses.map((loss, step) => Math.abs(loss / wanted[step]! - 1)));
}
