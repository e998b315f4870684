/**
 * An evaluation as lines for the terminal.
 *
 * @module
 */
import type { EvaluationEvent, EvaluationSummary, Measured, Metric, Scores } from "../evaluation/events.ts";
import { isExact } from "../generate/exact_match.ts";
import { formatCount, formatDuration, formatFigures } from "./format.ts";
import type { Paint } from "./paint.ts";

type FinishedEvent = Extract<EvaluationEvent, { type: "finished" }>;
type ProgressEvent = Extract<EvaluationEvent, { type: "progress" }>;

/** Letters of a prompt or an answer that are shown. */
const SHOWN_LETTERS = 200;

const METRIC_WORDS: Readonly<Record<Metric, string>> = { loss: "loss", exact_match: "answers" };

/** What is measured, on what. */
export function formatSummary(summary: EvaluationSummary, paint: Paint): string[] {
  const { model, adapter, device, softwareDevice, rows, tokens, questions } = summary;
  return [
    row("model", paint("bold", model)),
    ...(adapter === null ? [] : [row("adapter", adapter)]),
    row("device", device),
    ...(softwareDevice
      ? [
        row(
          "",
          paint("yellow", "!! SOFTWARE ADAPTER: this computes on the CPU, far slower than a GPU would"),
        ),
      ]
      : []),
    row(
      "data",
      `${formatCount(rows)} rows, ${formatCount(tokens)} tokens, ${formatCount(questions)} questions`,
    ),
  ];
}

/** `base: answers 120/200 60% | ETA 00:12` */
export function formatProgress({ of, metric, done, total, etaSeconds }: ProgressEvent): string {
  const percent = Math.floor(100 * done / total);
  return `${of}: ${METRIC_WORDS[metric]} ${done}/${total} ${percent}% | ETA ${formatDuration(etaSeconds)}`;
}

/** Scores, side by side where two were measured, and the first answers. */
export function formatResult(event: FinishedEvent, shown: number, paint: Paint): string[] {
  const columns = (["base", "adapter"] as const).filter((whose) => event[whose] !== null);
  const scores = columns.map((whose) => event[whose]!);
  const head = columns.length === 2 ? [...columns, "change"] : columns;
  const table = [
    scoreRow("loss", scores, ({ loss }) => loss, (loss) => loss.toFixed(4), signed(4, "")),
    scoreRow("perplexity", scores, ({ perplexity }) => perplexity, formatFigures, () => ""),
    scoreRow("token accuracy", scores, ({ tokenAccuracy }) => percent(tokenAccuracy), ...SHARES),
    scoreRow("exact match", scores, ({ exactMatch }) => percent(exactMatch), ...SHARES),
  ].flatMap((cells) => cells ?? []);
  const counts = columns.flatMap((whose) => {
    const { matches } = event[whose]!;
    return matches === null ? [] : [`${whose} ${formatCount(matches)}`];
  });
  return [
    paint("dim", cells("", head)),
    ...table.map(([name, ...values]) => cells(name!, values)),
    ...(counts.length === 0
      ? []
      : [row("exact", `${counts.join(", ")} of ${formatCount(event.answers.length)} answers`)]),
    ...sampleLines(event, columns, shown, paint),
    paint("bold", `done in ${formatDuration(event.seconds)}`),
  ];
}

const SHARES = [(share: number) => `${share.toFixed(1)} %`, signed(1, " points")] as const;

function signed(digits: number, unit: string): (change: number) => string {
  return (change) => `${change < 0 ? "" : "+"}${change.toFixed(digits)}${unit}`;
}

function percent(share: number | null): number | null {
  return share === null ? null : 100 * share;
}

/** Null where the metric was not measured. */
function scoreRow(
  name: string,
  scores: readonly Scores[],
  valueOf: (scores: Scores) => number | null,
  format: (value: number) => string,
  change: (difference: number) => string,
): string[][] | null {
  const values = scores.map(valueOf).filter((value) => value !== null);
  if (values.length === 0) return null;
  const [before, after] = values;
  return [[
    name,
    ...values.map(format),
    ...(after === undefined ? [] : [change(after - before!)]),
  ]];
}

function sampleLines(
  { answers }: FinishedEvent,
  columns: readonly Measured[],
  shown: number,
  paint: Paint,
): string[] {
  return answers.slice(0, shown).flatMap((answer) => [
    "",
    row(`row ${answer.row}`, paint("dim", oneLine(answer.prompt))),
    row("expected", oneLine(answer.expected)),
    ...columns.map((whose) => {
      const said = answer[whose] ?? "";
      return row(whose, isExact(said, answer.expected) ? paint("cyan", `= ${oneLine(said)}`) : oneLine(said));
    }),
  ]).concat(answers.length > 0 && shown > 0 ? [""] : []);
}

function cells(name: string, values: readonly string[]): string {
  return `  ${name.padEnd(16)}${values.map((value) => value.padStart(12)).join("  ")}`.trimEnd();
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(10)} ${text}`.trimEnd();
}

function oneLine(text: string): string {
  const letters = [...text.trim().replace(/\s+/g, " ")];
  return letters.length > SHOWN_LETTERS
    ? `${letters.slice(0, SHOWN_LETTERS - 1).join("")}…`
    : letters.join("");
}
