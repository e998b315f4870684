/**
 * The course of a run as a table for spreadsheets.
 *
 * @module
 */
import type { MetricsRow } from "../../src/run_files.ts";

/** Comma-separated values (RFC 4180): a line of names, then one a row; what was not measured is left empty. */
export function metricsCsv(rows: readonly MetricsRow[]): string {
  const names = Object.keys(rows[0] ?? {}) as (keyof MetricsRow)[];
  const lines = rows.map((row) => names.map((name) => row[name] ?? "").join(","));
  return [names.join(","), ...lines].map((line) => `${line}\r\n`).join("");
}
