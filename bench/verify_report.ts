/**
 * A verification as a Markdown file that a person can read and send.
 *
 * @module
 */
import type { Machine } from "../src/cli/doctor_machine.ts";
import { formatBytes, formatFigures } from "../src/cli/format.ts";
import type { GoldenResult } from "../test/golden/golden_cases.ts";
import type { Roofline } from "./roofline.ts";
import { cell, table } from "./table.ts";
import type { ReplayOutcome, Skipped, SuiteOutcome } from "./verify_checks.ts";

/** Everything that a verification found. */
export interface Verification {
  /** Day, such as `2026-11-24`. */
  readonly date: string;
  readonly lowrank: string;
  readonly adapter: {
    readonly name: string;
    readonly software: boolean;
    readonly variants: string;
    readonly features: readonly string[];
  };
  readonly machine: Pick<Machine, "runtime" | "platform" | "memory" | "vulkan" | "nvidiaVersion">;
  readonly tests: readonly SuiteOutcome[];
  readonly goldens: readonly GoldenResult[] | Skipped;
  readonly replay: ReplayOutcome | Skipped;
  readonly roofline: Roofline | Skipped;
  readonly seconds: number;
}

/** Whether everything that was run agrees with what it was compared with, and the tests did run. */
export function passed({ tests, goldens, replay, roofline }: Verification): boolean {
  const ran = tests.flatMap(({ cases }) => cases).filter(({ skipped }) => !skipped);
  return tests.every(({ stopped }) => stopped === null) && ran.length > 0 &&
    ran.every(({ failure }) => failure === null) &&
    ("skipped" in goldens
      ? !goldens.failed
      : goldens.length > 0 && goldens.every(({ outcome }) => outcome !== "failed")) &&
    ("skipped" in replay ? !replay.failed : replay.ok) &&
    !("skipped" in roofline && roofline.failed);
}

/** A file name for an adapter: `NVIDIA H100 (x)` becomes `NVIDIA-H100-x.md`. */
export function reportName(adapter: string): string {
  return `${adapter.replace(/[^A-Za-z0-9.]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "unnamed"}.md`;
}

/** The report. */
export function formatVerification(found: Verification): string {
  const { adapter, date, lowrank, seconds } = found;
  return [
    `# Verification on ${adapter.name}`,
    ...(adapter.software
      ? ["**SOFTWARE ADAPTER: this computes on the CPU. Its timings say nothing about GPUs.**"]
      : []),
    `${passed(found) ? "PASSED" : "**FAILED**"}: Lowrank ${lowrank}, ${date}, \`deno task verify\` in ` +
    `${Math.round(seconds)} s.`,
    table(["what", "found"], machineRows(found)),
    "## Tests",
    ...testParts(found.tests),
    "## Comparison with PyTorch",
    ...goldenParts(found.goldens),
    "## Replay of a recorded run",
    ...replayParts(found.replay),
    "## Speed",
    ...speedParts(found.roofline, adapter.software),
  ].join("\n\n") + "\n";
}

function notRun({ skipped, failed = false }: Skipped): string {
  return failed ? `**Failed**: ${cell(skipped)}` : `Skipped: ${skipped}.`;
}

function machineRows({ adapter, machine }: Verification): string[][] {
  const libraries = machine.vulkan.drivers.flatMap(({ library }) => library?.split("/").at(-1) ?? []);
  return [
    ["adapter", adapter.name],
    ["software", adapter.software ? "YES, IT COMPUTES ON THE CPU" : "no"],
    ["Vulkan drivers installed", libraries.join(", ") || "none found"],
    ...(machine.nvidiaVersion ? [["NVIDIA driver", machine.nvidiaVersion]] : []),
    ["runtime", machine.runtime],
    ["platform", machine.platform],
    ["memory", formatBytes(machine.memory.totalBytes)],
    ["variants", adapter.variants],
    ["features", adapter.features.join(", ") || "none"],
  ];
}

function testParts(suites: readonly SuiteOutcome[]): string[] {
  const count = (cases: SuiteOutcome["cases"]) =>
    [
      cases.filter(({ skipped, failure }) => !skipped && failure === null).length,
      cases.filter(({ failure }) => failure !== null).length,
      cases.filter(({ skipped }) => skipped).length,
    ].map(String);
  const all = suites.flatMap(({ cases }) => cases);
  const rows = suites.map(({ suite, cases }) => [suite, ...count(cases)]);
  const told = [
    ...suites.flatMap(({ suite, stopped }) =>
      stopped ? [`- **${suite} was stopped**: ${cell(stopped)}`] : []
    ),
    ...all.flatMap(({ name, failure }) => failure ? [`- ${name}: ${cell(failure).slice(0, 300)}`] : []),
  ];
  return [
    table(["suite", "passed", "failed", "skipped"], [...rows, ["all", ...count(all)]]),
    ...(told.length > 0 ? [told.join("\n")] : []),
  ];
}

function goldenParts(goldens: Verification["goldens"]): string[] {
  if ("skipped" in goldens) return [notRun(goldens)];
  const rows = [...Map.groupBy(goldens, ({ name }) => name.split(" ")[0]!)].map(([name, of]) => {
    const count = (outcome: GoldenResult["outcome"]) =>
      String(of.filter((result) => result.outcome === outcome).length);
    const worst = Math.max(...of.map(({ worstShare = 0 }) => worstShare));
    return [name, count("passed"), count("failed"), count("skipped"), worst.toPrecision(2)];
  });
  const told = goldens.filter(({ outcome }) => outcome !== "passed")
    .map(({ name, outcome, detail }) => `- ${outcome}: ${name}: ${detail}`);
  return [
    table(["case", "passed", "failed", "skipped", "largest distance, as a share of what is allowed"], rows),
    ...(told.length > 0 ? [told.join("\n")] : []),
  ];
}

function replayParts(replay: Verification["replay"]): string[] {
  if ("skipped" in replay) return [notRun(replay)];
  const { losses, distances, limit, ok } = replay;
  return [
    `${ok ? "Passed" : "**Failed**"}: each loss may be ${limit} (relative) from PyTorch's.`,
    table(
      ["step", "loss", "distance"],
      losses.map((loss, i) => [String(i + 1), loss.toFixed(6), distances[i]!.toExponential(1)]),
    ),
  ];
}

function speedParts(roofline: Verification["roofline"], software: boolean): string[] {
  if ("skipped" in roofline) return [notRun(roofline)];
  const { matmul, copyGigabytes, step } = roofline;
  return [
    ...(software ? ["These timings are a CPU's. They say nothing about GPUs."] : []),
    table(
      ["product, f32", "GFLOP/s (median of 5)", "least", "most", "largest error, as a share of rounding"],
      matmul.map(({ size, gigaflops: { median, least, most }, worstError }) => [
        `${size}³`,
        ...[median, least, most].map(formatFigures),
        worstError.toPrecision(2),
      ]),
    ),
    `Copies from buffer to buffer: ${formatFigures(copyGigabytes)} GB/s, bytes read plus bytes written.`,
    `A training step of a made-up decoder (SmolLM2-135M's sizes, ${step.layers} layers, LoRA rank 8 on all linear ` +
    `maps, ${step.tokens} tokens): ${seconds(step.median)} (median; ${seconds(step.least)} to ` +
    `${seconds(step.most)}), ${formatFigures(step.tokens / step.median)} tokens/s; the first step ` +
    `${seconds(step.first)}.`,
  ];
}

function seconds(value: number): string {
  return `${formatFigures(value)} s`;
}
