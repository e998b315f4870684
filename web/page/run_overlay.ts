/**
 * Curves of several runs over one axis.
 *
 * @module
 */
import { type Course, type CurveView, runCurves } from "../run_curves.ts";

/** Places on the x axis in their order, then the values of each run; null where it has none there. */
export type Overlay = readonly [readonly number[], ...(readonly (number | null)[])[]];

/** Puts one curve of each course over all places that any of them has. */
export function overlaid(
  courses: readonly Course[],
  view: CurveView,
  shown: "smooth" | "evaluation",
): Overlay {
  const found = courses.map((course) => {
    const curves = runCurves(course, view), values = new Map<number, number>();
    for (const [i, x] of curves.x.entries()) {
      const value = curves[shown][i];
      if (typeof value === "number") values.set(x, value);
    }
    return values;
  });
  const places = [...new Set(found.flatMap((values) => [...values.keys()]))].sort((a, b) => a - b);
  return [places, ...found.map((values) => places.map((x) => values.get(x) ?? null))];
}
