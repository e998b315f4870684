/**
 * Orders of the runs in a list.
 *
 * @module
 */
import type { RunEntry, RunGlance } from "../protocol/runs.ts";

/** A run as it is listed; its glance comes later. */
export interface ListedRun {
  readonly entry: RunEntry;
  readonly glance: RunGlance | null;
}

type Compare = (a: ListedRun, b: ListedRun) => number;

const loss = ({ entry, glance }: ListedRun) =>
  glance?.bestEvaluation?.loss ?? entry.evalLossAfter ?? glance?.lastLoss ?? Infinity;

const difference = (a: number, b: number) => a === b ? 0 : a - b;

/** By title. */
export const RUN_ORDERS: ReadonlyMap<string, Compare> = new Map<string, Compare>([
  ["Latest first", (a, b) => b.entry.startedAt.localeCompare(a.entry.startedAt)],
  ["Lowest loss first", (a, b) => difference(loss(a), loss(b))],
  ["Longest first", (a, b) => difference(b.glance?.seconds ?? 0, a.glance?.seconds ?? 0)],
  ["Largest first", (a, b) => difference(b.glance?.bytes ?? 0, a.glance?.bytes ?? 0)],
  ["By name", (a, b) => a.entry.name.localeCompare(b.entry.name, "en", { numeric: true })],
]);
