/**
 * A run's event stream as lines of text: a header panel, one live line (or plain lines where there is no terminal),
 * and a summary.
 *
 * @module
 */

import type { QuantizationPlan, RunSummary, TrainingEvent } from "../job.ts";
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatLearningRate,
  formatRate,
  formatShare,
} from "./format.ts";
import { LiveLine } from "./live_line.ts";
import { type Paint, painter } from "./paint.ts";
import { TransferLines } from "./transfer_line.ts";

/** How to draw. */
export interface TerminalOptions {
  readonly write: (text: string) => void;
  /** Redraw one line in place; otherwise each report is a line of its own. */
  readonly live: boolean;
  readonly color: boolean;
  readonly columns: number;
  /** Milliseconds on a clock that never goes back; default that of the process. */
  readonly now?: () => number;
}

type StepEvent = Extract<TrainingEvent, { type: "step" }>;
type EstimatedEvent = Extract<TrainingEvent, { type: "estimated" }>;
type EvaluatedEvent = Extract<TrainingEvent, { type: "evaluated" }>;
type SampledEvent = Extract<TrainingEvent, { type: "sampled" }>;
type ComparedEvent = Extract<TrainingEvent, { type: "compared" }>;
type DeviceLostEvent = Extract<TrainingEvent, { type: "device_lost" }>;
type TransferEvent = Extract<TrainingEvent, { type: "transfer" }>;
type FinishedEvent = Extract<TrainingEvent, { type: "finished" }>;

/** Weight of the newest loss in the running mean that the trend sign compares with. */
const NEWEST = 0.1;
const WIDEST_LINE = 100;

/** Draws {@link TrainingEvent}s in order. */
export class TerminalReport {
  readonly #options: TerminalOptions;
  readonly #paint: Paint;
  readonly #transfers: TransferLines;
  readonly #saved: { what: string; path: string }[] = [];
  #evalLoss: number | null = null;
  #meanLoss: number | null = null;
  #before: SampledEvent | null = null;
  #after: SampledEvent | null = null;
  readonly #live: LiveLine;

  constructor(options: TerminalOptions) {
    this.#live = new LiveLine(options.write);
    this.#options = options;
    this.#paint = painter(options.color);
    this.#transfers = new TransferLines(options.now);
  }

  show(event: TrainingEvent): void {
    switch (event.type) {
      case "phase":
        return this.#line(this.#paint("dim", event.message));
      case "warning":
        return this.#line(`${this.#paint("yellow", "warning:")} ${event.message}`);
      case "planned":
        return this.#line(quantizationTable(event.quantizations).join("\n"));
      case "started":
        return this.#line(headerPanel(event.summary, this.#paint).join("\n"));
      case "estimated":
        return this.#line(estimateLine(event));
      case "step":
        return this.#step(event);
      case "evaluated":
        this.#evalLoss = event.evalLoss;
        return this.#line(evaluationLine(event));
      case "sampled":
        return this.#sampled(event);
      case "compared":
        return this.#line(comparedLine(event));
      case "device_lost":
        return this.#line(`${this.#paint("yellow", "warning:")} ${lossLine(event)}`);
      case "resumed":
        return this.#line(`going on after step ${event.step} from ${event.path}`);
      case "checkpointed":
        return this.#line(this.#paint("dim", `checkpoint of step ${event.step}: ${event.path}`));
      case "saved":
        this.#saved.push({ what: event.what, path: event.path });
        return;
      case "transfer":
        return this.#transfer(event);
      case "finished":
        return this.#line(this.#summary(event).join("\n"));
    }
  }

  /** Ends an open live line, so that what follows starts on a line of its own. */
  close(): void {
    this.#live.close();
  }

  #line(text: string): void {
    this.#live.line(text);
  }

  #step(event: StepEvent): void {
    const trend = trendSign(event.loss, this.#meanLoss);
    this.#meanLoss = this.#meanLoss === null
      ? event.loss
      : (1 - NEWEST) * this.#meanLoss + NEWEST * event.loss;
    const line = stepLine(event, trend, this.#evalLoss, Math.min(this.#options.columns, WIDEST_LINE));
    if (!this.#options.live) return this.#line(line);
    this.#live.redraw(line);
  }

  /** On a terminal a live line; elsewhere one line when all has come. */
  #transfer(event: TransferEvent): void {
    const { text, isOver } = this.#transfers.line(event);
    if (isOver) this.#line(this.#paint("dim", text));
    else if (this.#options.live) this.#live.redraw(text.slice(0, this.#options.columns - 1));
  }

  #sampled(event: SampledEvent): void {
    if (event.step === 0) this.#before = event;
    else this.#after = event;
    if (event.exactMatch === null) return;
    const { step, exactMatch, rows } = event;
    this.#line(
      `exact match at step ${step}: ${percent(exactMatch)} of ${formatCount(rows)} held-out prompts`,
    );
  }

  #summary({ steps, seconds, evalLossBefore, evalLossAfter }: FinishedEvent): string[] {
    const lines = this.#after
      ? sampleTable(this.#before, this.#after, this.#options.columns, this.#paint)
      : [];
    lines.push(this.#paint("bold", `done in ${formatDuration(seconds)}: ${formatCount(steps)} steps`));
    if (evalLossAfter !== null) {
      const before = evalLossBefore === null ? "" : `${evalLossBefore.toFixed(3)} before, `;
      lines.push(panelRow("eval loss", `${before}${evalLossAfter.toFixed(3)} after`));
    }
    const [before, after] = [this.#before?.exactMatch ?? null, this.#after?.exactMatch ?? null];
    if (after !== null) {
      const text = `${before === null ? "" : `${percent(before)} before, `}${percent(after)} after`;
      lines.push(panelRow("exact", `${text}, of ${formatCount(this.#after!.rows)} held-out prompts`));
    }
    return [...lines, ...this.#saved.map(({ what, path }) => panelRow(what, path))];
  }
}

function lossLine({ message, step, recovery, mostRecoveries }: DeviceLostEvent): string {
  const goesOn = step > 0 ? `going on from step ${step}` : "beginning anew";
  return `${message}; ${goesOn} on another device (recovery ${recovery} of ${mostRecoveries})`;
}

function estimateLine({ steps, seconds, stepSeconds, tokensPerSecond }: EstimatedEvent): string {
  return `a step takes ${stepSeconds.toPrecision(2)} s (${formatRate(tokensPerSecond)} tok/s): ${
    formatCount(steps)
  } steps would take ${formatDuration(seconds)}, evaluations and saving apart`;
}

function evaluationLine({ step, evalLoss, evalTokens, evalTokenAccuracy }: EvaluatedEvent): string {
  const right = evalTokenAccuracy === undefined ? "" : `, ${percent(evalTokenAccuracy)} right`;
  const perplexity = Math.exp(evalLoss).toPrecision(3);
  return `eval at step ${step}: loss ${evalLoss.toFixed(3)}, perplexity ${perplexity}${right} over ${
    formatCount(evalTokens)
  } tokens`;
}

function comparedLine({ rows, mergeBase, losses: { adapter, quantized, original } }: ComparedEvent): string {
  const written = (base: ComparedEvent["mergeBase"]) => base === mergeBase ? " (written)" : "";
  return `loss of ${formatCount(rows)} rows: adapter ${adapter.toFixed(4)}, ` +
    `merged onto quantised values${written("quantized")} ${quantized.toFixed(4)}, ` +
    `onto original ones${written("original")} ${original.toFixed(4)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Prompts with the answers before and after, side by side within the width; `=` marks an exact one. */
function sampleTable(
  before: SampledEvent | null,
  after: SampledEvent,
  columns: number,
  paint: Paint,
): string[] {
  const rows = after.samples.map(({ prompt, expected, answer }, i) => {
    return {
      cells: [oneLine(prompt), oneLine(before?.samples[i]?.answer ?? ""), oneLine(answer)],
      expected,
      answer,
    };
  });
  if (rows.length === 0) return [];
  const head = ["prompt", "before", "after"];
  const most = Math.floor((Math.min(columns, WIDEST_LINE) - 6) / 3);
  const widths = head.map((title, c) =>
    Math.min(most, Math.max(title.length, ...rows.map(({ cells }) => cells[c]!.length)))
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, c) => fitted(cell, widths[c]!)).join("  ").trimEnd();
  return [
    paint("dim", `  ${line(head)}`),
    ...rows.map(({ cells, expected, answer }) => {
      const exact = answer.trim() === expected?.trim();
      const text = `${exact ? "=" : " "} ${line(cells)}`;
      return exact ? paint("cyan", text) : text;
    }),
  ];
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ");
}

/** Exactly `width` characters, cut with an ellipsis or padded. */
function fitted(text: string, width: number): string {
  const letters = [...text];
  return letters.length > width ? `${letters.slice(0, width - 1).join("")}…` : text.padEnd(width);
}

function trendSign(loss: number, mean: number | null): string {
  if (mean === null || loss === mean) return "=";
  return loss < mean ? "v" : "^";
}

/**
 * One step in at most `width` characters. Too narrow a terminal loses gradient norm, learning rate, evaluation and
 * speed, in this order; progress, loss and time left stay.
 */
function stepLine(event: StepEvent, trend: string, evalLoss: number | null, width: number): string {
  const percent = Math.floor((100 * event.step) / event.totalSteps);
  const parts = [
    { text: `step ${event.step}/${event.totalSteps} ${percent}%`, rank: 0 },
    { text: `loss ${event.loss.toFixed(3)} ${trend}`, rank: 0 },
    { text: evalLoss === null ? "" : `eval ${evalLoss.toFixed(3)}`, rank: 2 },
    { text: `lr ${formatLearningRate(event.learningRate)}`, rank: 3 },
    { text: `gn ${event.gradNorm.toFixed(2)}`, rank: 4 },
    { text: `${formatRate(event.tokensPerSecond)} tok/s`, rank: 1 },
    { text: `ETA ${formatDuration(event.etaSeconds)}`, rank: 0 },
  ].filter(({ text }) => text !== "");
  for (let kept = 4; kept > 0; kept--) {
    const line = parts.filter(({ rank }) => rank <= kept).map(({ text }) => text).join(" | ");
    if (line.length < width) return line;
  }
  return parts.filter(({ rank }) => rank === 0).map(({ text }) => text).join(" | ").slice(0, width - 1);
}

function panelRow(label: string, text: string): string {
  return `  ${label.padEnd(10)} ${text}`;
}

function headerPanel(summary: RunSummary, paint: Paint): string[] {
  const { totalParameters, trainableParameters, memory, choices } = summary;
  const epochs = summary.stepsPerEpoch > 0 ? summary.totalSteps / summary.stepsPerEpoch : 0;
  const rows = [
    panelRow("model", paint("bold", `${summary.baseModel} (${summary.modelType})`)),
    panelRow(
      "parameters",
      `${formatCount(totalParameters)}, of which ${formatCount(trainableParameters)} train ` +
        `(${formatShare(trainableParameters, totalParameters)})`,
    ),
    panelRow("device", summary.adapter),
  ];
  if (summary.softwareAdapter) {
    rows.push(
      panelRow(
        "",
        paint("yellow", "!! SOFTWARE ADAPTER: this computes on the CPU, far slower than a GPU would"),
      ),
    );
  }
  rows.push(
    panelRow(
      "data",
      `${formatCount(summary.trainExamples)} training + ${
        formatCount(summary.evalExamples)
      } evaluation examples, ` +
        `${formatCount(summary.trainableTokensPerEpoch)} trained tokens an epoch`,
    ),
    panelRow(
      "steps",
      `${formatCount(summary.totalSteps)} of ${summary.effectiveBatchSize} examples ` +
        `(${Number(epochs.toFixed(2))} epochs of ${formatCount(summary.stepsPerEpoch)})`,
    ),
    ...memoryTable(memory),
    ...choices.map((choice, index) => panelRow(index === 0 ? "choices" : "", choice)),
  );
  return rows;
}

/** What the base would take in so many bits, a line each. */
function quantizationTable(plans: readonly QuantizationPlan[]): string[] {
  const verdict = (fits: boolean | null) => fits === null ? "" : fits ? "  fits" : "  does not fit";
  return plans.map(({ quantization, weightBytes, totalBytes, recomputedBlocks, fits }, index) => {
    const again = recomputedBlocks > 0 ? `  ${recomputedBlocks} blocks computed again` : "";
    return panelRow(
      index === 0 ? "if kept in" : "",
      `${quantization.padEnd(4)}  weights ${formatBytes(weightBytes).padStart(9)}  ` +
        `total ${formatBytes(totalBytes).padStart(9)}${verdict(fits)}${again}`,
    );
  });
}

function memoryTable(memory: RunSummary["memory"]): string[] {
  if (memory.length === 0) return [];
  const total = memory.reduce((sum, { bytes }) => sum + bytes, 0);
  const rows = [...memory, { what: "total", bytes: total }];
  const width = Math.max(...rows.map(({ what }) => what.length));
  return rows.map(({ what, bytes }, index) =>
    panelRow(index === 0 ? "memory" : "", `${what.padEnd(width)} ${formatBytes(bytes).padStart(11)}`)
  );
}
