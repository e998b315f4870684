/**
 * A chart, drawn by uPlot in the colours of the page. Whatever points at it, mouse or keys, points at a place of its data.
 *
 * @module
 */
import type { Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { axisNumber } from "../figures.ts";

/** One curve. */
export interface Curve {
  readonly label: string;
  /** Name of a custom property of the style sheet, such as `--accent`. */
  readonly color: string;
  readonly width?: number;
  /** Lengths of strokes and gaps, for what must not differ by its colour alone. */
  readonly dash?: readonly number[];
  /** Draws points and no line. */
  readonly points?: "dots" | "rings";
}

interface ChartProps {
  readonly curves: readonly Curve[];
  /** Places on the x axis, then the values of each curve; null where a curve has none. */
  readonly data: readonly (readonly (number | null)[])[];
  /** Ends of the x axis. */
  readonly range: readonly [number, number];
  /** What stands at the x axis; default the number itself, of whole steps. */
  readonly place?: (x: number) => string;
  readonly height: number;
  readonly logarithmic?: boolean;
  /** Place of the data that is pointed at; charts that share it point together. */
  readonly at?: Signal<number | null>;
  /** What the chart shows, for those who do not see it. */
  readonly label: string;
  /** What stands at the place pointed at, in words; where it is given, keys move that. */
  readonly reading?: string;
}

/** Loaded with the first chart, which the page can be shown without. */
const loadUplot = () => import("uplot").then((module) => module.default);

/** There is nothing between two steps. */
const STEP_INCREMENTS = Array.from({ length: 8 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power))
  .flat();

/** Where the pointer is when it is nowhere. */
const NOWHERE = { left: -10, top: -10 };

/** Places that a key moves by; a page of them is a tenth. */
const KEY_STEPS: Readonly<Record<string, (places: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  PageDown: (places) => -Math.ceil(places / 10),
  PageUp: (places) => Math.ceil(places / 10),
  Home: (places) => -places,
  End: (places) => places,
};

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

function seriesOf(element: Element, { label, color: property, width, dash, points }: Curve): uPlot.Series {
  const ink = () => color(element, property);
  const shown = { show: true, size: points === "rings" ? 15 : 8, stroke: ink };
  return {
    label,
    stroke: ink,
    fill: () => "transparent",
    width: points ? 0 : width ?? 1.5,
    ...(dash ? { dash: [...dash] } : {}),
    spanGaps: true,
    points: points === "rings"
      ? { ...shown, width: 2, fill: "transparent" }
      : points
      ? { ...shown, width: 0, fill: ink }
      : { show: false },
  };
}

/** What uPlot asks for while it lives, as it is then. */
interface Live {
  range: readonly [number, number];
  onPointed: (place: number | null) => void;
  /** Whether the user has zoomed in: then new data does not show all again. */
  isZoomed: boolean;
}

function optionsOf(element: HTMLElement, props: ChartProps, live: Live): uPlot.Options {
  const { curves, height, logarithmic = false, place } = props;
  return {
    width: element.clientWidth,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 } },
    scales: {
      x: { time: false, range: () => [...live.range] },
      y: { distr: logarithmic ? 3 : 1 },
    },
    axes: [
      {
        ...axis(element, 28),
        ...(place ? { values: (_, splits) => splits.map(place) } : { incrs: STEP_INCREMENTS }),
      },
      { ...axis(element, 52), values: (_, splits) => splits.map(axisNumber) },
    ],
    series: [{}, ...curves.map((curve) => seriesOf(element, curve))],
    hooks: {
      setCursor: [({ cursor: { idx, left } }) => live.onPointed(left! < 0 ? null : idx ?? null)],
      setSelect: [({ select }) => live.isZoomed ||= select.width > 0],
    },
  };
}

/** Points at a place without telling so. */
function pointAt(chart: uPlot, place: number | null): void {
  const x = place === null ? undefined : chart.data[0][place];
  if ((chart.cursor.left! < 0 ? null : chart.cursor.idx) === place) return;
  chart.setCursor(x === undefined ? NOWHERE : { left: chart.valToPos(x, "x"), top: 0 }, false);
}

export function LineChart(props: ChartProps) {
  const holder = useRef<HTMLDivElement>(null), chart = useRef<uPlot | null>(null);
  const { data, range, place, height, logarithmic = false, at, label, reading } = props;
  const live = useRef<Live>({ range, onPointed: () => {}, isZoomed: false }).current;
  const latest = useRef(data);
  latest.current = data;
  live.range = range;
  live.onPointed = (place) => at && (at.value = place);
  useEffect(() => {
    const element = holder.current!,
      fit = new ResizeObserver(() => {
        chart.current?.setSize({ width: element.clientWidth, height });
      });
    let isGone = false;
    void loadUplot().then((UPlot) => {
      if (isGone) return;
      chart.current = new UPlot(
        optionsOf(element, props, live),
        latest.current as uPlot.AlignedData,
        element,
      );
      fit.observe(element);
    });
    // the colours of the canvas follow the theme
    const redraw = () => chart.current?.redraw(false);
    const themed = new MutationObserver(redraw), system = matchMedia("(prefers-color-scheme: dark)");
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    system.addEventListener("change", redraw);
    return () => {
      isGone = true;
      fit.disconnect();
      themed.disconnect();
      system.removeEventListener("change", redraw);
      chart.current?.destroy();
      chart.current = null;
      live.isZoomed = false;
    };
  }, [logarithmic, height, place, JSON.stringify(props.curves)]);
  useEffect(() => {
    chart.current?.setData(data as uPlot.AlignedData, !live.isZoomed);
    if (live.isZoomed) chart.current?.redraw();
  }, [data, range[0], range[1]]);
  const pointed = at?.value ?? null;
  useEffect(() => {
    if (chart.current) pointAt(chart.current, pointed);
  }, [pointed]);
  const places = data[0]?.length ?? 0;
  const move = (event: KeyboardEvent) => {
    const step = KEY_STEPS[event.key];
    if (event.key === "Escape") at!.value = null;
    if (!step) return;
    event.preventDefault();
    at!.value = Math.min(
      places - 1,
      Math.max(0, (pointed ?? places - 1) + (pointed === null ? 0 : step(places))),
    );
  };
  const read = reading === undefined || places === 0 ? { role: "img" as const } : {
    role: "slider" as const,
    tabIndex: 0,
    "aria-valuemin": 0,
    "aria-valuemax": places - 1,
    "aria-valuenow": pointed ?? places - 1,
    "aria-valuetext": reading,
    onKeyDown: move,
    onBlur: () => at!.value = null,
  };
  return (
    <div
      class="plot"
      style={{ minHeight: `${height}px` }}
      ref={holder}
      aria-label={label}
      onDblClick={() => live.isZoomed = false}
      {...read}
    />
  );
}
