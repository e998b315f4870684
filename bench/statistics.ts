/**
 * What repeated measurements come to.
 *
 * @module
 */

/** Median and range of a set of measurements, in their own unit. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The mean of the two middle values where their number is even. @throws {RangeError} Without values. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError("Cannot take the median of no measurements");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** The same measurements as rates, such as tokens a second from seconds: the least time is the most rate. */
export function rateOf(amount: number, { median, least, most }: Spread): Spread {
  return { median: amount / median, least: amount / most, most: amount / least };
}
