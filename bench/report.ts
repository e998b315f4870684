/**
 * The benchmark's results as a Markdown file: what machine, what day, then part by part.
 *
 * @module
 */
import type { PartResult } from "./part.ts";
import { table } from "./table.ts";
import { reportName } from "./verify_report.ts";

/** Where and when it was measured. */
export interface BenchHeading {
  /** Day, such as `2026-11-24`. */
  readonly date: string;
  readonly lowrank: string;
  readonly adapter: string;
  readonly software: boolean;
  readonly variants: string;
  /** Graphics drivers by their libraries or versions. */
  readonly drivers: string;
  readonly cpu: string;
  readonly runtime: string;
  /** Processes that wanted to run when it began, averaged over a minute; 0 is an idle machine. */
  readonly load: number;
  /** What was typed. */
  readonly command: string;
}

/** A part's name and title with what came of it. */
export interface PartOutcome {
  readonly name: string;
  readonly title: string;
  readonly seconds: number;
  readonly result: PartResult | { readonly failed: string };
}

/** File names beside each other: `<adapter>-<suffix>.md`, `<adapter>-<suffix>-speed.svg`. */
export function resultStem(adapter: string, suffix: string): string {
  return `${reportName(adapter).replace(/\.md$/, "")}-${suffix}`;
}

/** The report; drawings are linked as files whose names begin with `stem`. */
export function formatResults(heading: BenchHeading, outcomes: readonly PartOutcome[], stem: string): string {
  return [
    `# Benchmark on ${heading.adapter}`,
    ...(heading.software
      ? ["**SOFTWARE ADAPTER: this computes on the CPU. Its timings say nothing about GPUs.**"]
      : []),
    `Lowrank ${heading.lowrank}, ${heading.date}, \`${heading.command}\`. What each part measures, and what it does not, is ` +
    `told in [the benchmark's README](../README.md).`,
    table(["what", "found"], [
      ["adapter", heading.adapter],
      ["drivers", heading.drivers],
      ["processor", heading.cpu],
      ["runtime", heading.runtime],
      ["variants", heading.variants],
      ["load at the start", heading.load.toFixed(2)],
    ]),
    ...outcomes.flatMap(({ title, seconds, result }) => [
      `## ${title}`,
      "failed" in result ? `**Failed**: ${result.failed}` : result.markdown.replaceAll("(FILE-", `(${stem}-`),
      `(${Math.round(seconds)} s)`,
    ]),
  ].join("\n\n") + "\n";
}
