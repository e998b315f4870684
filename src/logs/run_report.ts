/**
 * `report.html`: how a run went, for people; one file that needs nothing else.
 *
 * @module
 */
import { figures, percent, plain } from "../html/figures.ts";
import { type Content, type Markup, markup } from "../html/markup.ts";
import { card, facts, htmlPage } from "../html/page.ts";
import { table } from "../html/table.ts";
import type { DeviceRecovery, MetricsRow, RunRecord } from "../run_files.ts";
import type { SampleRound } from "./samples_file.ts";
import { optionsTable, trainingCurves } from "./training_curves.ts";

export const REPORT_FILE = "report.html";

/** What a run left to tell of. */
export interface RunReport {
  readonly name: string;
  readonly record: RunRecord;
  readonly metrics: readonly MetricsRow[];
  readonly rounds: readonly SampleRound[];
}

/** Writes the page. */
export function runReport({ name, record, metrics, rounds }: RunReport): string {
  const { base_model: base, status, steps, total_steps: total, adapter, error } = record;
  return htmlPage({
    title: name,
    introduction: markup`${base.path} (${base.model_type}), ${status} after ${plain(steps)} of ${
      plain(total)
    } steps, on ${adapter.name}${adapter.software ? " (software)" : ""}.`,
    cards: [
      error === null ? null : markup`<p class="card warning"><strong>${status}.</strong> ${error}</p>\n`,
      card("Result", facts(results(record, metrics))),
      card("Training", trainingCurves(metrics)),
      rounds.some(({ samples }) => samples.length > 0) ? card("Samples", answers(rounds)) : null,
      card("Data", dataTable(record)),
      card("Options", optionsTable(record.config)),
    ],
  });
}

function results(record: RunRecord, metrics: readonly MetricsRow[]): [string, Content][] {
  const { base_model: base, eval_loss_before, eval_loss_after, exact_match_before, exact_match_after } =
    record;
  const accuracies = metrics.flatMap(({ eval_token_accuracy: share }) => share ?? []);
  const change = (before: number | null, after: number | null, text: (value: number) => string) =>
    [before, after].map((value) => value === null ? "–" : text(value)).join(" → ");
  const seconds = (Date.parse(record.finished_at ?? record.started_at) - Date.parse(record.started_at)) /
    1000;
  const rows: [string, Content][] = [
    ["evaluation loss", change(eval_loss_before, eval_loss_after, figures)],
    ["perplexity", change(eval_loss_before, eval_loss_after, (loss) => figures(Math.exp(loss)))],
    ["token accuracy", change(accuracies[0] ?? null, accuracies.at(-1) ?? null, percent)],
    ["parameters", `${plain(base.parameters)}, of which ${plain(base.trainable_parameters)} trained`],
    ["time", `${figures(seconds)} s, from ${record.started_at.slice(0, 16).replace("T", " ")} UTC on`],
    ["versions", Object.entries(record.versions).map(([name, version]) => `${name} ${version}`).join(", ")],
  ];
  const recoveries = record.device_recoveries ?? [];
  if (recoveries.length > 0) {
    const told = ({ message, step }: DeviceRecovery) =>
      `${message}; the run ${step > 0 ? `went on after step ${step}` : "began anew"}`;
    rows.push(["lost GPUs", `${recoveries.length}: ${recoveries.map(told).join(". ")}`]);
  }
  if (exact_match_after !== null) {
    rows.push(["exact answers", change(exact_match_before, exact_match_after, percent)]);
  }
  return rows;
}

/** A row for each prompt, a column for each round. */
function answers(rounds: readonly SampleRound[]): Markup {
  const asked = rounds.filter(({ samples }) => samples.length > 0);
  const headings = ["prompt", "expected", ...asked.map(({ step }) => `after step ${step}`)];
  const rows = asked[0]!.samples.map(({ prompt, expected }, i): Content[] => [
    prompt,
    expected ?? "–",
    ...asked.map(({ samples }) => samples[i]?.answer ?? "–"),
  ]);
  return table({ headings, rows, texts: headings.length });
}

function dataTable({ data }: RunRecord): Markup {
  const columns = ["rows", "kept", "cut", "dropped", "tokens", "trained_tokens"] as const;
  return table({
    headings: ["file", ...columns.map((name) => name.replaceAll("_", " "))],
    rows: data.map((file) => [file.file, ...columns.map((name) => plain(file[name]))]),
  });
}
