/**
 * A loss curve in words, for those who do not see it, and made smooth, for those who do.
 *
 * @module
 */

/** A loss after some steps, nats per token. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** The curve in one sentence, such as `Training loss 3.21 → 1.10 over 60 steps; evaluation loss 3.30 → 1.25.` */
export function lossSummary(steps: readonly LossPoint[], evaluations: readonly LossPoint[]): string {
  const course = (points: readonly LossPoint[]) =>
    [points.at(0)!, points.at(-1)!].map(({ loss }) => shortLoss(loss)).join(" → ");
  const parts: string[] = [];
  if (steps.length > 0) {
    const last = steps.at(-1)!.step;
    parts.push(`training loss ${course(steps)} over ${last} step${last === 1 ? "" : "s"}`);
  }
  if (evaluations.length > 1) parts.push(`evaluation loss ${course(evaluations)}`);
  else if (evaluations.length === 1) parts.push(`evaluation loss ${shortLoss(evaluations[0]!.loss)}`);
  const text = parts.join("; ");
  return text === "" ? "No loss yet." : `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Two decimals, or two digits of a loss that has none there. */
export function shortLoss(loss: number): string {
  return loss < 0.1 ? loss.toPrecision(2) : loss.toFixed(2);
}

/** Share of the past in each point of a smooth curve. */
const PAST = 0.8;

/** Exponential moving averages whose first points are not drawn to zero: mᵢ = Σ pᵏ·xᵢ₋ₖ / Σ pᵏ. */
export function smoothed(values: readonly number[], past: number = PAST): number[] {
  let sum = 0, weight = 0;
  return values.map((value) => {
    sum = past * sum + value;
    weight = past * weight + 1;
    return sum / weight;
  });
}
