/**
 * A run as the page shows it: what its events, or the files of an earlier visit, add up to.
 *
 * @module
 */
import { signal } from "@preact/signals";
import type { RunSummary, TrainingEvent } from "../../src/job.ts";
import { clock, count, percent } from "../figures.ts";
import { type LossPoint, lossSummary } from "../loss_summary.ts";
import type { Wire } from "../protocol/job.ts";
import type { PlainError } from "../protocol/plain_error.ts";
import type { RunDetails, RunHoldings } from "../protocol/runs.ts";
import type { StepPoint } from "../run_curves.ts";
import { courseOf } from "../run_glance.ts";
import { type Round, withRound } from "./sample_rounds.ts";
import { TokenAccuracy } from "./token_accuracy.ts";

/** Where a run stands. */
export type RunStatus = "starting" | "running" | "stopping" | "paused" | "completed" | "failed";

type StepEvent = Extract<TrainingEvent, { type: "step" }>;
type EvaluatedEvent = Extract<TrainingEvent, { type: "evaluated" }>;
type FinishedEvent = Extract<TrainingEvent, { type: "finished" }>;

/** How often a screen reader is told of the loss, milliseconds. */
const SUMMARY_INTERVAL_MS = 10_000;

export class RunState {
  readonly status = signal<RunStatus>("starting");
  /** One line that says how the run stands. */
  readonly live = signal("Starting.");
  readonly step = signal(0);
  readonly totalSteps = signal(0);
  /** The last step's figures; null before the first. */
  readonly last = signal<StepEvent | null>(null);
  readonly started = signal<RunSummary | null>(null);
  readonly checkpointAt = signal<{ readonly step: number; readonly at: Date } | null>(null);
  readonly resumable = signal<number | null>(null);
  readonly log = signal<readonly string[]>([]);
  /** Rounds of answers, by step. */
  readonly rounds = signal<readonly Round[]>([]);
  /** Whether answers were asked for that have not come yet. */
  readonly isAnswering = signal(false);
  readonly problem = signal<PlainError | null>(null);
  readonly verdict = signal("");
  readonly holdings = signal<RunHoldings>({ files: [], checkpoints: [], hasAdapter: false });
  /** The curves in words, told now and then. */
  readonly summary = signal("No loss yet.");
  /** Rises with each change of the points. */
  readonly version = signal(0);
  steps: StepPoint[] = [];
  evaluations: LossPoint[] = [];
  readonly #accuracy = new TokenAccuracy();
  #summaryAt = -Infinity;

  /** @param config All options, or those that were given. */
  constructor(readonly name: string, readonly config: Wire) {}

  /** What an earlier visit, or another tab, has left. */
  static of({ entry, metrics, rounds, ...holdings }: RunDetails): RunState {
    const run = new RunState(entry.name, entry.config);
    const { steps, evaluations } = courseOf(metrics);
    run.steps = [...steps];
    run.evaluations = [...evaluations];
    run.rounds.value = rounds.map(({ step, samples, exact_match }): Round => {
      return { step, samples, exactMatch: exact_match, rows: null };
    });
    run.step.value = entry.steps;
    run.totalSteps.value = entry.totalSteps;
    run.holdings.value = holdings;
    if (entry.status === "completed") run.#setFinished(entry);
    else if (entry.status === "failed") run.failed(recordedFailure(entry.error), entry.resumable);
    else run.stopped(entry.resumable);
    run.resumable.value = entry.resumable;
    run.tellSummary();
    return run;
  }

  /** The run goes on, or begins: what ended it before no longer stands. */
  begin(): void {
    this.status.value = "starting";
    this.live.value = "Starting.";
    this.problem.value = null;
    this.isAnswering.value = false;
    this.log.value = [];
    this.#summaryAt = -Infinity;
  }

  stopping(): void {
    this.status.value = "stopping";
    this.live.value = "Stopping after this step.";
  }

  finishing(): void {
    this.status.value = "stopping";
    this.live.value = "Ending after this step, then saving.";
  }

  answering(): void {
    this.isAnswering.value = true;
  }

  stopped(resumable: number | null): void {
    this.status.value = "paused";
    this.resumable.value = resumable;
    this.live.value = resumable === null
      ? "Stopped before the first checkpoint."
      : "Stopped; the last whole step is kept.";
    this.tellSummary();
  }

  failed(problem: PlainError, resumable: number | null): void {
    this.status.value = "failed";
    this.problem.value = problem;
    this.resumable.value = resumable;
    this.live.value = resumable === null
      ? "Failed before the first checkpoint."
      : `Failed; the checkpoint after step ${resumable} is kept.`;
    this.tellSummary();
  }

  take(event: TrainingEvent): void {
    if (this.status.value === "starting" && event.type === "step") this.status.value = "running";
    switch (event.type) {
      case "phase":
        this.live.value = `${event.message[0]!.toUpperCase()}${event.message.slice(1)}.`;
        return this.#tell(event.message);
      case "warning":
        return this.#tell(`warning: ${event.message}`);
      case "started":
        this.started.value = event.summary;
        this.totalSteps.value = event.summary.totalSteps;
        return this.#tell(...event.summary.choices, sizesLine(event.summary));
      case "step":
        return this.#takeStep(event);
      case "evaluated":
        this.evaluations.push({ step: event.step, loss: event.evalLoss });
        this.#accuracy.add(event);
        this.version.value++;
        return this.#tell(evaluationLine(event));
      case "sampled": {
        const { type: _, ...round } = event;
        this.isAnswering.value = false;
        this.rounds.value = withRound(this.rounds.value, round);
        return;
      }
      case "planned":
      case "estimated":
      case "transfer":
        return; // of dry runs and of buckets
      case "compared":
        return this.#tell(
          `merged: loss ${event.losses.quantized.toFixed(4)} on the quantised values, ` +
            `${event.losses.original.toFixed(4)} on the original weights; adapter ${
              event.losses.adapter.toFixed(4)
            }`,
        );
      case "device_lost":
        this.live.value = "The GPU was lost; going on with another device.";
        this.step.value = event.step;
        this.#cutAfter(event.step > 0 ? event.step : -1); // the evaluation before the first step comes again
        return this.#tell(
          `${event.message}; ${event.step > 0 ? `going on from step ${event.step}` : "beginning anew"} ` +
            `(recovery ${event.recovery} of ${event.mostRecoveries})`,
        );
      case "resumed":
        this.step.value = event.step;
        this.#cutAfter(event.step);
        return this.#tell(`going on after step ${event.step}`);
      case "checkpointed":
        this.checkpointAt.value = { step: event.step, at: new Date() };
        return this.#tell(`checkpoint after step ${event.step}`);
      case "saved":
        return this.#tell(`${event.what} saved in ${event.path}`);
      case "finished":
        this.live.value = `Done: ${event.steps} steps in ${clock(event.seconds)}.`;
        return this.#setFinished(event);
    }
  }

  /** A line of the log that follows from no event. */
  note(line: string): void {
    this.#tell(line);
  }

  tellSummary(): void {
    this.#summaryAt = performance.now();
    this.summary.value = [lossSummary(this.steps, this.evaluations), this.#accuracy.summary].join(" ").trim();
  }

  #takeStep(event: StepEvent): void {
    const { step, totalSteps, loss, learningRate, gradNorm, tokenAccuracy, tokens } = event;
    const { tokensPerSecond, etaSeconds } = event;
    this.step.value = step;
    this.last.value = event;
    this.steps.push({ step, loss, learningRate, gradNorm, tokensPerSecond, tokens });
    this.#accuracy.add(event);
    this.version.value++;
    if (this.status.value !== "stopping") {
      const accuracy = tokenAccuracy === undefined ? "" : `token accuracy ${percent(tokenAccuracy)} · `;
      this.live.value = `Step ${step} of ${totalSteps} · loss ${loss.toFixed(3)} · ${accuracy}` +
        `${count(Math.round(tokensPerSecond))} tokens/s · ${clock(etaSeconds)} left`;
    }
    if (performance.now() - this.#summaryAt > SUMMARY_INTERVAL_MS) this.tellSummary();
  }

  #setFinished({ evalLossBefore, evalLossAfter }: Pick<FinishedEvent, "evalLossBefore" | "evalLossAfter">) {
    this.status.value = "completed";
    const done = this.step.value;
    this.resumable.value = done < this.totalSteps.value ? done : null;
    if (this.live.value === "Starting.") this.live.value = `Done: ${done} steps.`;
    this.verdict.value = evalLossBefore === null || evalLossAfter === null
      ? "Trained, saved and read back. PEFT reads these files."
      : `Evaluation loss ${evalLossBefore.toFixed(3)} before, ${evalLossAfter.toFixed(3)} after. ` +
        "Saved and read back; PEFT reads these files.";
    this.tellSummary();
  }

  /** Forgets what the run does again. */
  #cutAfter(step: number): void {
    this.steps = this.steps.filter((point) => point.step <= step);
    this.evaluations = this.evaluations.filter((point) => point.step <= step);
    this.rounds.value = this.rounds.value.filter((round) => round.step <= step);
    this.#accuracy.cutAfter(step);
    this.version.value++;
  }

  #tell(...lines: string[]): void {
    this.log.value = [...this.log.value, ...lines];
  }
}

/** A failure of an earlier visit: what its record says of it. */
function recordedFailure(message: string | null): PlainError {
  return { name: "Error", message: message ?? "Its record does not say why", issues: [] };
}

function sizesLine(summary: RunSummary): string {
  return `${count(summary.trainExamples)} training and ${count(summary.evalExamples)} evaluation examples; ` +
    `${count(summary.trainableParameters)} of ${count(summary.totalParameters)} parameters train`;
}

function evaluationLine({ step, evalLoss, evalTokenAccuracy: share }: EvaluatedEvent): string {
  const accuracy = share === undefined ? "" : `, token accuracy ${percent(share)}`;
  return `evaluation after step ${step}: loss ${evalLoss.toFixed(3)}${accuracy}`;
}
