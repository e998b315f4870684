/**
 * A chart over steps, drawn by uPlot in the colours of the page.
 *
 * @module
 */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { axisNumber } from "../figures.ts";

/** One curve. */
export interface Curve {
  readonly label: string;
  /** Name of a custom property of the style sheet, such as `--accent`. */
  readonly color: string;
  readonly width?: number;
  /** Draws points and no line. */
  readonly pointsOnly?: boolean;
}

interface ChartProps {
  readonly curves: readonly Curve[];
  /** Steps, then the values of each curve; null where a curve has none. */
  readonly data: readonly (readonly (number | null)[])[];
  readonly totalSteps: number;
  readonly height: number;
  readonly logarithmic?: boolean;
  /** What the chart shows, for those who do not see it. */
  readonly label: string;
}

/** There is nothing between two steps. */
const STEP_INCREMENTS = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power))
  .flat();

function color(element: Element, property: string): string {
  return getComputedStyle(element).getPropertyValue(property).trim();
}

function axis(element: Element, size: number): uPlot.Axis {
  return {
    stroke: () => color(element, "--quiet"),
    grid: { stroke: () => color(element, "--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
    size,
    gap: 6,
  };
}

function optionsOf(
  element: HTMLElement,
  { curves, totalSteps, height, logarithmic = false }: ChartProps,
): uPlot.Options {
  return {
    width: element.clientWidth,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { time: false, range: (_, __, last) => [0, Math.max(totalSteps, last, 1)] },
      y: { distr: logarithmic ? 3 : 1 },
    },
    axes: [{ ...axis(element, 28), incrs: STEP_INCREMENTS }, {
      ...axis(element, 52),
      values: (_, splits) => splits.map(axisNumber),
    }],
    series: [
      {},
      ...curves.map((curve): uPlot.Series => ({
        label: curve.label,
        stroke: () => color(element, curve.color),
        fill: () => "transparent",
        width: curve.pointsOnly ? 0 : curve.width ?? 1.5,
        spanGaps: true,
        points: curve.pointsOnly
          ? { show: true, size: 8, width: 0, fill: () => color(element, curve.color) }
          : { show: false },
      })),
    ],
  };
}

export function LineChart(props: ChartProps) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const { data, totalSteps, height, logarithmic = false, label } = props;
  useEffect(() => {
    const element = holder.current!;
    chart.current = new uPlot(optionsOf(element, props), data as uPlot.AlignedData, element);
    const fit = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height }));
    fit.observe(element);
    // the colours of the canvas follow the theme
    const redraw = () => chart.current?.redraw(false);
    const themed = new MutationObserver(redraw), system = matchMedia("(prefers-color-scheme: dark)");
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    system.addEventListener("change", redraw);
    return () => {
      fit.disconnect();
      themed.disconnect();
      system.removeEventListener("change", redraw);
      chart.current?.destroy();
    };
  }, [totalSteps, logarithmic, height]);
  useEffect(() => chart.current?.setData(data as uPlot.AlignedData), [data]);
  return <div class="plot" ref={holder} role="img" aria-label={label} />;
}
