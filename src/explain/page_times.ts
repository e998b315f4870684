/**
 * The page's part about time: bars by kernel, and every kernel, size and variant.
 *
 * @module
 */
import { figures, percent, plain } from "../html/figures.ts";
import type { KernelRow, SectionTime } from "./kernel_rows.ts";
import { type Content, type Markup, markup } from "../html/markup.ts";
import type { MicroBatchTimes } from "./report.ts";

/** Time by section and by kernel. */
export function timeBars(times: MicroBatchTimes): Markup {
  const { byKernel, sections, kernelMs } = times;
  const longest = byKernel[0]?.ms ?? 0;
  return markup`
    <p>${sections.map((part, i) => [i > 0 ? ", " : "", sectionText(part, kernelMs)])}</p>
    <div class="wide">
      <table class="bars">
        <thead>
          <tr>
            <th scope="col">kernel</th>
            <th scope="col">time</th>
            <th scope="col" class="number">ms</th>
            <th scope="col" class="number">share</th>
            <th scope="col" class="number">of the roofline</th>
          </tr>
        </thead>
        <tbody>${byKernel.map((row) => barRow(row, longest))}</tbody>
      </table>
    </div>
  `;
}

function sectionText({ section, ms }: SectionTime, kernelMs: number): string {
  return `${section} ${figures(ms)} ms (${percent(kernelMs > 0 ? ms / kernelMs : 0)})`;
}

/** The bar's strong part is the least time that the roofline allows. */
function barRow({ kernel, ms, share, roofShare }: KernelRow, longest: number): Markup {
  const part = (share: number) => `width:${(100 * share * (longest > 0 ? ms / longest : 0)).toFixed(2)}%`;
  const least = part(Math.min(1, roofShare ?? 0));
  return markup`<tr><th scope="row">${kernel}</th>
<td class="track"><span class="bar" style="${
    part(1)
  }"></span><span class="least" style="${least}"></span></td>
<td class="number">${figures(ms)}</td><td class="number">${percent(share)}</td>
<td class="number">${roofText(roofShare)}</td></tr>`;
}

/** Every kernel, size and variant; the page's script sorts by a column whose heading is pressed. */
export function kernelTable(rows: readonly KernelRow[]): Markup {
  const headings = [
    "kernel",
    "sizes",
    "launches",
    "ms",
    "share",
    "GFLOP/s",
    "GB/s",
    "of the roofline",
  ];
  return markup`
    <div class="wide">
      <table class="sortable">
        <thead>
          <tr>${
    headings.map((heading, i) =>
      markup`<th scope="col" class="${i >= 2 ? "number" : "text"}">${heading}</th>`
    )
  }</tr>
        </thead>
        <tbody>${rows.map(tableRow)}</tbody>
      </table>
    </div>
  `;
}

function tableRow(row: KernelRow): Markup {
  const cell = (value: number | null, text: Content) =>
    markup`<td class="number" data-value="${value ?? -1}">${text}</td>`;
  return markup`<tr><th scope="row">${row.kernel}</th>
<td class="small">${row.sizes}<br><span class="quiet">${row.variant}</span></td>
${cell(row.launches, plain(row.launches))}${cell(row.ms, figures(row.ms))}${
    cell(row.share, percent(row.share))
  }
${cell(row.gigaflops, row.gigaflops === null ? "–" : figures(row.gigaflops))}
${cell(row.gigabytes, figures(row.gigabytes))}
${
    cell(row.roofShare, [
      roofText(row.roofShare),
      row.bound && markup`<br><span class="quiet">${row.bound}</span>`,
    ])
  }</tr>`;
}

/** Small data that stays in a cache moves faster than a copy between large buffers. */
function roofText(share: number | null): string {
  if (share === null) return "–";
  return share > 1 ? `${percent(share)} (cached)` : percent(share);
}
