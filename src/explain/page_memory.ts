/**
 * The page's part about memory: what is taken for what, and intermediates over the course of a micro-batch.
 *
 * @module
 */
import type { MemoryCurve } from "../gpu/memory_curve.ts";
import type { MemoryRow } from "../job.ts";
import { byteText } from "../html/figures.ts";
import { unnumbered } from "./kernel_rows.ts";
import { lineChart, type Stretch } from "../html/line_chart.ts";
import { type Markup, markup } from "../html/markup.ts";
import { table } from "../html/table.ts";

const MIB = 2 ** 20;
/** Of the intermediates that are needed at the peak. */
const SHOWN_ITEMS = 12;

/** Memory by purpose. */
export function memoryTable(rows: readonly MemoryRow[]): Markup {
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  return table({
    headings: ["for", "memory"],
    rows: rows.map(({ what, bytes }) => [what, byteText(bytes)]),
    foot: ["together", byteText(total)],
  });
}

/** Intermediates over time, with the same as a table. */
export function memoryChart(curve: MemoryCurve): Markup {
  const { liveBytes, slotBytes, peak } = curve;
  const stretches = namedStretches(curve);
  const where = stretches.find(({ from, to }) => peak.at >= from && peak.at < to)?.name ?? "main";
  const summary =
    `Intermediates need at most ${byteText(peak.bytes)}, in ${where} at operation ${peak.at + 1} of ` +
    `${liveBytes.length}; ${byteText(slotBytes)} are allocated for them.`;
  return markup`<p>${summary}</p>
${
    lineChart({
      summary,
      series: [
        { name: "needed", kind: "area", points: steps(liveBytes.map((bytes) => bytes / MIB)) },
        {
          name: "allocated",
          kind: "limit",
          points: [[0, slotBytes / MIB], [liveBytes.length, slotBytes / MIB]],
        },
      ],
      xName: "operations, in the order of running",
      xRange: [0, liveBytes.length],
      unit: "MiB",
      fromZero: true,
      stretches,
    })
  }
<details><summary>As tables</summary>
${sectionTable(curve, stretches)}
${peakTable(curve)}
</details>`;
}

/** Sections in their order, those that are numbered together. */
export function namedStretches({ sections }: MemoryCurve): Stretch[] {
  const stretches: { name: string; from: number; to: number }[] = [];
  for (const { name, first, end } of sections) {
    const last = stretches.at(-1), plain = unnumbered(name);
    if (last?.name === plain) last.to = end;
    else stretches.push({ name: plain, from: first, to: end });
  }
  return stretches;
}

/** Level stretches, a point at each end: a value holds for the whole operation. */
export function steps(values: readonly number[]): [number, number][] {
  return values.flatMap((value, i): [number, number][] => [
    ...(i === 0 || values[i - 1] !== value ? [[i, value] as [number, number]] : []),
    ...(values[i + 1] !== value ? [[i + 1, value] as [number, number]] : []),
  ]);
}

function sectionTable({ liveBytes }: MemoryCurve, stretches: readonly Stretch[]): Markup {
  return table({
    headings: ["section", "operations", "needed at its start", "at most", "at its end"],
    rows: stretches.map(({ name, from, to }) => {
      const most = liveBytes.slice(from, to).reduce((a, b) => Math.max(a, b), 0);
      return [name, to - from, ...[liveBytes[from]!, most, liveBytes[to - 1]!].map(byteText)];
    }),
  });
}

function peakTable({ atPeak }: MemoryCurve): Markup {
  const rest = atPeak.slice(SHOWN_ITEMS);
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return table({
    headings: ["needed at the peak", "memory", "for operations"],
    rows: [
      ...atPeak.slice(0, SHOWN_ITEMS).map(({ label, bytes, first, last }) => {
        return [label, byteText(bytes), `${first + 1} to ${last + 1}`];
      }),
      ...(rest.length > 0 ? [[`${rest.length} others`, byteText(restBytes), ""]] : []),
    ],
  });
}
