/**
 * Lines over an axis as inline SVG. Numbers and names are text beside the drawing, so that they keep their size when the
 * drawing is stretched to a phone's width.
 *
 * @module
 */
import { plain, ticksBetween } from "./figures.ts";
import { type Markup, markup } from "./markup.ts";

/** A line, the area below it, a dashed limit, or dots. */
export interface Series {
  readonly name: string;
  readonly kind: "line" | "area" | "limit" | "dots";
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** A named stretch of the x axis. */
export interface Stretch {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

/** What to draw. */
export interface LineChart {
  /** What it shows, for those who do not see it. */
  readonly summary: string;
  readonly series: readonly Series[];
  /** What is counted along the axis. */
  readonly xName: string;
  readonly xRange: readonly [from: number, to: number];
  /** Unit of the y axis. */
  readonly unit: string;
  /** Whether the y axis begins at 0; otherwise a little below the least value. */
  readonly fromZero: boolean;
  readonly stretches?: readonly Stretch[];
}

/** The drawing's own coordinates; it is stretched to whatever room there is. */
const WIDTH = 1000, HEIGHT = 300;
/** Names of shorter stretches would lie over each other. */
const LEAST_NAMED = 0.08;

/** Draws the chart with its legend. */
export function lineChart(chart: LineChart): Markup {
  const [left, right] = chart.xRange;
  const [bottom, top] = yRange(chart);
  const x = (value: number) => (value - left) / (right - left || 1);
  const y = (value: number) => (value - bottom) / (top - bottom);
  const yTicks = ticksBetween(bottom, top, 4), xTicks = ticksBetween(left, right, 5).filter(Number.isInteger);
  const at = ([px, py]: readonly [number, number]) =>
    `${fixed(WIDTH * x(px))} ${fixed(HEIGHT * (1 - y(py)))}`;
  const stretches = chart.stretches ?? [];
  const grid = yTicks.map((tick) => `M0 ${fixed(HEIGHT * (1 - y(tick)))}H${WIDTH}`).join("");
  const marks = stretches.map(({ from }) => `M${fixed(WIDTH * x(from))} 0V${HEIGHT}`).join("");
  return markup`<figure class="chart">
<figcaption>${
    chart.series.map(({ name, kind }) => markup`<span class="key ${kind}">${name}</span>`)
  }</figcaption>
<div class="plot">
${yTicks.map((tick) => markup`<span class="y" style="bottom:${fixed(100 * y(tick))}%">${plain(tick)}</span>`)}
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${chart.summary}">
<path class="grid" d="${grid}"/><path class="mark" d="${marks}"/>
${chart.series.map((series) => drawn(series, at, HEIGHT))}
</svg>
${stretches.map((stretch) => stretchName(stretch, x))}
</div>
<div class="x-axis">${
    xTicks.map((tick) => markup`<span style="left:${fixed(100 * x(tick))}%">${plain(tick)}</span>`)
  }</div>
<p class="axes">${chart.unit} over ${chart.xName}</p>
</figure>`;
}

/** Room above the highest value, more where names stand there, and below the least where the axis need not begin at 0. */
function yRange({ series, fromZero, stretches }: LineChart): [number, number] {
  const values = series.flatMap(({ points }) => points.map(([, value]) => value));
  const most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const least = fromZero ? 0 : values.reduce((a, b) => Math.min(a, b), Infinity);
  const room = 0.06 * (most - least || Math.abs(most) || 1);
  return [fromZero ? 0 : least - room, most + (stretches ? 3 * room : room)];
}

function drawn(
  { kind, points }: Series,
  at: (point: readonly [number, number]) => string,
  height: number,
): Markup | null {
  const [first] = points, last = points.at(-1);
  if (!first || !last) return null;
  // a line of no length with round ends is a dot, which stretching leaves round
  if (kind === "dots") {
    return markup`
      <path class="dots" d="${points.map((point) => `M${at(point)}h0`).join("")}" />
    `;
  }
  const line = `M${points.map(at).join("L")}`;
  const closed = kind === "area" ? `V${height}H${at(first).split(" ")[0]!}Z` : "";
  return markup`
    ${
    closed
      ? markup`
        <path class="fill" d="${line}${closed}" />
      `
      : null
  }<path class="${kind}" d="${line}" />
  `;
}

function stretchName({ name, from, to }: Stretch, x: (value: number) => number): Markup | null {
  if (x(to) - x(from) < LEAST_NAMED) return null;
  return markup`<span class="stretch" style="left:${fixed(100 * x(from))}%">${name}</span>`;
}

function fixed(value: number): string {
  return String(Number(value.toFixed(2)));
}
