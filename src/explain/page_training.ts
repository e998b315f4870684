/**
 * The page's part about the run itself: loss and speed as metrics.jsonl tells them.
 *
 * @module
 */
import type { MetricsRow } from "../run_files.ts";
import { figures } from "./figures.ts";
import { lineChart } from "./line_chart.ts";
import { type Markup, markup } from "./markup.ts";
import { table } from "./table.ts";

/** Curves of loss and speed, with their numbers as a table. */
export function trainingCurves(metrics: readonly MetricsRow[]): Markup {
  const losses = pointsOf(metrics, "loss"), evaluations = pointsOf(metrics, "eval_loss");
  const speeds = pointsOf(metrics, "tokens_per_second");
  if (losses.length + evaluations.length === 0) return markup`<p>The run came to no report.</p>`;
  const last = metrics.reduce((most, { step }) => Math.max(most, step), 1);
  const axis = { xName: "steps", xRange: [0, last] as const };
  return markup`<h3>Loss</h3>
${
    lineChart({
      ...axis,
      summary: `${courseOf("Training loss", losses)} ${courseOf("Evaluation loss", evaluations)}`.trim(),
      series: [
        { name: "training", kind: "line", points: losses },
        { name: "evaluation", kind: "dots", points: evaluations },
      ],
      unit: "nats a token",
      fromZero: false,
    })
  }
${
    speeds.length === 0 ? null : markup`<h3>Speed</h3>
${
      lineChart({
        ...axis,
        summary: courseOf("Tokens a second", speeds),
        series: [{ name: "tokens a second", kind: "line", points: speeds }],
        unit: "tokens a second",
        fromZero: true,
      })
    }`
  }
<details><summary>As a table</summary>${metricsTable(metrics)}</details>`;
}

type NumberOf = "loss" | "eval_loss" | "tokens_per_second";

function pointsOf(metrics: readonly MetricsRow[], name: NumberOf): [number, number][] {
  return metrics.flatMap((row): [number, number][] => {
    const value = row[name];
    return typeof value === "number" && Number.isFinite(value) ? [[row.step, value]] : [];
  });
}

function courseOf(what: string, points: readonly (readonly [number, number])[]): string {
  if (points.length === 0) return "";
  const [first, last] = [points[0]![1], points.at(-1)![1]];
  return `${what} ${figures(first)}${points.length > 1 ? ` to ${figures(last)}` : ""}.`;
}

function metricsTable(metrics: readonly MetricsRow[]): Markup {
  const columns = ["loss", "eval_loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second"] as const;
  return table({
    headings: ["step", ...columns.map((name) => name.replaceAll("_", " "))],
    rows: metrics.map((row) => [row.step, ...columns.map((name) => numberText(name, row[name]))]),
  });
}

function numberText(name: string, value: number | null | undefined): string {
  if (typeof value !== "number") return "–";
  return name === "learning_rate" && value !== 0 ? value.toExponential(1) : figures(value);
}
