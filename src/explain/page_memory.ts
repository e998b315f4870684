/**
 * The page's part about memory: what is taken for what, and intermediates over the course of a micro-batch.
 *
 * @module
 */
import type { MemoryCurve } from "../gpu/memory_curve.ts";
import type { MemoryRow } from "../job.ts";
import { byteText } from "./figures.ts";
import { Markup, markup } from "./markup.ts";
import { unnumbered } from "./kernel_rows.ts";
import { lineChart, type Stretch } from "./line_chart.ts";

const MIB = 2 ** 20;
/** Of the intermediates that are needed at the peak. */
const SHOWN_ITEMS = 12;

/** Memory by purpose. */
export function memoryTable(rows: readonly MemoryRow[]): Markup {
  const total = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  return markup`
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">for</th>
            <th scope="col" class="number">memory</th>
          </tr>
        </thead>
        <tbody>${
    rows.map(({ what, bytes }) => {
      return markup`
            <tr>
              <th scope="row">${what}</th>
              <td class="number">${byteText(bytes)}</td>
            </tr>
          `;
    })
  }</tbody>
        <tfoot>
          <tr>
            <th scope="row">together</th>
            <td class="number">${byteText(total)}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  `;
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
  return markup`
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">section</th>
            <th scope="col" class="number">operations</th>
            <th scope="col" class="number">needed at its start</th>
            <th scope="col" class="number">at most</th>
            <th scope="col" class="number">at its end</th>
          </tr>
        </thead>
        <tbody>${
    stretches.map(({ name, from, to }) => {
      const most = liveBytes.slice(from, to).reduce((a, b) => Math.max(a, b), 0);
      return markup`<tr><th scope="row">${name}</th><td class="number">${to - from}</td>
${
        [liveBytes[from]!, most, liveBytes[to - 1]!].map((bytes) =>
          markup`<td class="number">${byteText(bytes)}</td>`
        )
      }</tr>`;
    })
  }</tbody>
      </table>
    </div>
  `;
}

function peakTable({ atPeak }: MemoryCurve): Markup {
  const rest = atPeak.slice(SHOWN_ITEMS);
  const restBytes = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  return markup`
    <div class="wide">
      <table>
        <thead>
          <tr>
            <th scope="col">needed at the peak</th>
            <th scope="col" class="number">memory</th>
            <th scope="col" class="number">for operations</th>
          </tr>
        </thead>
        <tbody>${
    atPeak.slice(0, SHOWN_ITEMS).map(({ label, bytes, first, last }) => {
      return markup`
            <tr>
              <th scope="row">${label}</th>
              <td class="number">${byteText(bytes)}</td>
              <td class="number">${first + 1} to ${last + 1}</td>
            </tr>
          `;
    })
  }${
    rest.length === 0 ? null : markup`
          <tr>
            <th scope="row">${rest.length} others</th>
            <td class="number">${byteText(restBytes)}</td>
            <td></td>
          </tr>
        `
  }</tbody>
      </table>
    </div>
  `;
}
