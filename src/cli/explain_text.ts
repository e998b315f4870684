/**
 * The head of a report as lines for the terminal.
 *
 * @module
 */
import type { KernelRow } from "../explain/kernel_rows.ts";
import type { ExplainReport, MicroBatchTimes } from "../explain/report.ts";
import { formatBytes, formatFigures, formatRate } from "./format.ts";
import type { Paint } from "./paint.ts";

/** Kernels that are listed; the page has all. */
const SHOWN = 10;

/** What the page says first, in a few lines. */
export function formatExplain(report: ExplainReport, paint: Paint): string {
  const { run, device, microBatch, choices, memory, times } = report;
  const lines = [
    row("run", paint("bold", run)),
    row("adapter", device.name),
    ...(device.software
      ? [row("", paint("yellow", "!! SOFTWARE ADAPTER: these times say nothing about a GPU's"))]
      : []),
    ...choices.map((choice, i) => row(i === 0 ? "variants" : "", choice)),
    row("batch", `${microBatch.rows} x ${microBatch.length} tokens, forward and backward`),
    row(
      "memory",
      `${formatBytes(memory.peak.bytes)} of intermediates at most, ${formatBytes(memory.slotBytes)} taken`,
    ),
    ...(times
      ? timeLines(times, microBatch.rows * microBatch.length)
      : [row("time", "not told: the adapter has no timestamp queries")]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

function row(label: string, text: string): string {
  return `${label.padEnd(9)} ${text}`;
}

function timeLines(
  { wallMs, kernelMs, roofline, roofShare, byKernel }: MicroBatchTimes,
  tokens: number,
): string[] {
  const { gigaflops, gigabytes } = roofline;
  const rest = byKernel.length - SHOWN;
  return [
    row("time", `${formatFigures(wallMs)} ms, ${formatRate(1000 * tokens / wallMs)} tok/s`),
    row("kernels", `${formatFigures(kernelMs)} ms, ${percent(roofShare)} of the roofline`),
    row(
      "roofline",
      `${formatFigures(gigaflops)} GFLOP/s of products, ${formatFigures(gigabytes)} GB/s of copies`,
    ),
    "",
    `${"ms".padStart(9)}    share  launches   GFLOP/s      GB/s  roofline  kernel`,
    ...byKernel.slice(0, SHOWN).map(kernelLine),
    ...(rest > 0 ? [`${" ".repeat(59)}and ${rest} more on the page`] : []),
  ];
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(1)} %`;
}

function kernelLine({ kernel, launches, ms, share, gigaflops, gigabytes, roofShare }: KernelRow): string {
  return [
    formatFigures(ms).padStart(9),
    percent(share).padStart(9),
    String(launches).padStart(10),
    (gigaflops === null ? "-" : formatFigures(gigaflops)).padStart(10),
    formatFigures(gigabytes).padStart(10),
    percent(roofShare).padStart(10),
    `  ${kernel}`,
  ].join("");
}
