/**
 * Line charts as SVG: a few lines over one axis, legible on light and dark pages alike.
 *
 * @module
 */

/** A line: points [x, y] in the order of x. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

/** A chart; the y axis begins at 0. */
export interface Chart {
  readonly title: string;
  readonly x: { readonly label: string; readonly logarithmic?: boolean };
  readonly y: { readonly label: string };
  readonly series: readonly Series[];
}

const WIDTH = 640, HEIGHT = 360;
const LEFT = 64, RIGHT = 16, TOP = 64, BOTTOM = 48;
/** Blue and orange differ for every eye, and carry on white and on black. */
const COLOURS = ["#2f81f7", "#e3742b", "#2da44e", "#a371f7"];
const DASHES = ["", "6 4", "2 3", "8 3 2 3"];
const STYLE =
  `text { font: 12px system-ui, sans-serif; fill: #24292f } .title { font-size: 14px; font-weight: 600 }
  .axis { stroke: #57606a } .grid { stroke: #57606a; opacity: 0.2 }
  @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .axis, .grid { stroke: #9198a1 } }`;

/** Draws. Every x that has a point is a tick. @throws {RangeError} Without points. */
export function lineChart({ title, x, y, series }: Chart): string {
  const points = series.flatMap(({ points }) => points);
  if (points.length === 0) throw new RangeError(`Cannot draw "${title}" as no series has a point`);
  const xTicks = [...new Set(points.map(([at]) => at))].sort((a, b) => a - b);
  const yTicks = roundTicks(Math.max(...points.map(([, value]) => value)));
  const along = x.logarithmic ? Math.log : (value: number) => value;
  const [first, last] = [along(xTicks[0]!), along(xTicks.at(-1)!)];
  const toX = (value: number) =>
    LEFT + (WIDTH - LEFT - RIGHT) * (last === first ? 0.5 : (along(value) - first) / (last - first));
  const toY = (value: number) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / yTicks.at(-1)!;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${
      escape(title)
    }">`,
    `<style>${STYLE}</style>`,
    label(LEFT, 20, title, 'class="title"'),
    ...series.map(({ name }, i) => legend(name, i)),
    ...yTicks.map((value) =>
      rule(toY(value)) + label(LEFT - 8, toY(value) + 4, String(value), 'text-anchor="end"')
    ),
    ...xTicks.map((value) => label(toX(value), HEIGHT - BOTTOM + 18, String(value), 'text-anchor="middle"')),
    `<path class="axis" fill="none" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}"/>`,
    label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x.label, 'text-anchor="middle"'),
    label(
      16,
      (TOP + HEIGHT - BOTTOM) / 2,
      y.label,
      `text-anchor="middle" transform="rotate(-90 16 ${(TOP + HEIGHT - BOTTOM) / 2})"`,
    ),
    ...series.map((one, i) => line(one, i, toX, toY)),
    "</svg>\n",
  ].join("\n");
}

/** Ticks from 0 in steps of 1, 2 or 5 times a power of ten, at most six of them, the last one not below `most`. */
export function roundTicks(most: number): number[] {
  const rough = (most || 1) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9))!;
  const count = Math.ceil((most || 1) / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

function line(
  { points }: Series,
  at: number,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const colour = COLOURS[at % COLOURS.length]!, dash = DASHES[at % DASHES.length]!;
  const places = points.map(([x, y]) => [toX(x).toFixed(1), toY(y).toFixed(1)] as const);
  const path = places.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x} ${y}`).join("");
  const dots = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" fill="${colour}"/>`).join("");
  return `<path fill="none" stroke="${colour}" stroke-width="2"${
    dash && ` stroke-dasharray="${dash}"`
  } d="${path}"/>${dots}`;
}

function legend(name: string, at: number): string {
  const x = LEFT + 220 * at, colour = COLOURS[at % COLOURS.length]!, dash = DASHES[at % DASHES.length]!;
  const mark = `<path stroke="${colour}" stroke-width="2"${
    dash && ` stroke-dasharray="${dash}"`
  } d="M${x} 40h24"/>`;
  return mark + label(x + 30, 44, name);
}

const rule = (y: number) => `<path class="grid" d="M${LEFT} ${y.toFixed(1)}H${WIDTH - RIGHT}"/>`;

function label(x: number, y: number, text: string, attributes = ""): string {
  return `<text x="${Number(x.toFixed(1))}" y="${Number(y.toFixed(1))}"${attributes && ` ${attributes}`}>${
    escape(text)
  }</text>`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
