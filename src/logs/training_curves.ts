/**
 * What metrics.jsonl tells, drawn: loss, learning rate, gradient norm and speed.
 *
 * @module
 */
import type { MetricsRow } from "../run_files.ts";
import { figures } from "../html/figures.ts";
import { lineChart } from "../html/line_chart.ts";
import { type Markup, markup } from "../html/markup.ts";
import { table } from "../html/table.ts";

/** Curves of loss, learning rate, gradient norm and speed, with their numbers as a table. */
export function trainingCurves(metrics: readonly MetricsRow[]): Markup {
  const losses = pointsOf(metrics, "loss"), evaluations = pointsOf(metrics, "eval_loss");
  if (losses.length + evaluations.length === 0) return markup`<p>The run came to no report.</p>`;
  const last = metrics.reduce((most, { step }) => Math.max(most, step), 1);
  const loss = lineChart({
    xName: "steps",
    xRange: [0, last],
    summary: `${courseOf("Training loss", losses)} ${courseOf("Evaluation loss", evaluations)}`.trim(),
    series: [
      { name: "training", kind: "line", points: losses },
      { name: "evaluation", kind: "dots", points: evaluations },
    ],
    unit: "nats a token",
    fromZero: false,
  });
  return markup`<h3>Loss</h3>
${loss}
${curve(metrics, last, "learning_rate", "Learning rate", "learning rate")}
${curve(metrics, last, "grad_norm", "Gradient norm before clipping", "L2 norm")}
${curve(metrics, last, "tokens_per_second", "Speed", "tokens a second")}
<details><summary>As a table</summary>${metricsTable(metrics)}</details>`;
}

type NumberOf = "loss" | "eval_loss" | "learning_rate" | "grad_norm" | "tokens_per_second";

function curve(
  metrics: readonly MetricsRow[],
  last: number,
  name: NumberOf,
  title: string,
  unit: string,
): Markup | null {
  const points = pointsOf(metrics, name);
  if (points.length === 0) return null;
  const series = [{ name: unit, kind: "line" as const, points }];
  const summary = courseOf(title, points);
  return markup`<h3>${title}</h3>
${lineChart({ xName: "steps", xRange: [0, last], summary, series, unit, fromZero: true })}`;
}

/** Options as run.json records them. */
export function optionsTable(config: Readonly<Record<string, unknown>>): Markup {
  const rows = Object.entries(config).map(([name, value]) => [name, JSON.stringify(value) ?? ""]);
  return markup`<details><summary>As recorded in run.json</summary>${
    table({ headings: [], rows, texts: 2 })
  }</details>`;
}

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
  const columns = [
    "loss",
    "eval_loss",
    "token_accuracy",
    "eval_token_accuracy",
    "learning_rate",
    "grad_norm",
    "tokens",
    "tokens_per_second",
  ] as const;
  return table({
    headings: ["step", ...columns.map((name) => name.replaceAll("_", " "))],
    rows: metrics.map((row) => [row.step, ...columns.map((name) => numberText(name, row[name]))]),
  });
}

function numberText(name: string, value: number | null | undefined): string {
  if (typeof value !== "number") return "–";
  return name === "learning_rate" && value !== 0 ? value.toExponential(1) : figures(value);
}
