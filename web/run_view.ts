/**
 * The page's elements, and what they show of a run.
 *
 * @module
 */
import type { TrainingEvent } from "../src/job.ts";
import type { Gate } from "./gate.ts";
import { LossChart } from "./loss_chart.ts";
import type { PlainError, RunFile, RunStore } from "./protocol.ts";
import { SampleTable } from "./sample_table.ts";
import { percent, TokenAccuracy } from "./token_accuracy.ts";

/** How often a screen reader is told of the loss, milliseconds. */
const SUMMARY_INTERVAL_MS = 10_000;

type EvaluatedEvent = Extract<TrainingEvent, { type: "evaluated" }>;
type StepEvent = Extract<TrainingEvent, { type: "step" }>;

function element<T extends Element = HTMLElement>(id: string): T {
  return document.getElementById(id) as unknown as T;
}

export class RunView {
  readonly #start = element<HTMLButtonElement>("start");
  readonly #resume = element<HTMLButtonElement>("resume");
  readonly #stop = element<HTMLButtonElement>("stop");
  readonly #progress = element<HTMLProgressElement>("progress");
  readonly #live = element("live");
  readonly #summary = element("summary");
  readonly #samples = new SampleTable(element("samples"));
  readonly #chart = new LossChart(element<SVGSVGElement>("chart"));
  readonly #accuracy = new TokenAccuracy();
  #summaryAt = 0;

  set onStart(act: () => void) {
    this.#start.onclick = act;
  }

  set onResume(act: () => void) {
    this.#resume.onclick = act;
  }

  set onStop(act: () => void) {
    this.#stop.onclick = act;
  }

  /** The job in a few lines, by wire name. */
  showJob(config: Readonly<Record<string, unknown>>): void {
    const { max_steps: steps, num_train_epochs: epochs } = config;
    const length = steps === undefined
      ? `${epochs} epoch${epochs === 1 ? "" : "s"}, steps`
      : `${steps} steps`;
    const facts = {
      "Base model": config.base_model,
      "Training data": config.training_data_path,
      "Method": `LoRA, rank ${config.lora_r}, learning rate ${config.learning_rate}`,
      "Length": `${length} of ${config.batch_size} examples`,
    };
    for (const [name, value] of Object.entries(facts)) this.#addFact(name, String(value));
  }

  showGate(gate: Gate): void {
    const status = element("gate");
    if (gate.open) {
      this.#addFact("GPU", gate.adapter);
      status.hidden = !gate.software;
      status.textContent = "A software adapter: it computes on the CPU, far slower than a GPU would.";
    } else {
      status.textContent = `${gate.problem} ${gate.cure}`;
      status.dataset.missing = gate.missing;
    }
  }

  /** Where runs are kept. */
  showStore(store: RunStore): void {
    const kept = store === "device"
      ? "in this browser, across visits"
      : "in memory, until this page is closed";
    this.#addFact("Kept", kept);
  }

  /** Ready for a start, or to go on after a step. */
  showIdle(resumable: number | null): void {
    this.#start.hidden = false;
    this.#start.disabled = false;
    this.#stop.hidden = true;
    this.#resume.hidden = resumable === null;
    this.#resume.textContent = `Continue from step ${resumable}`;
    this.#start.textContent = resumable === null ? "Start training" : "Start anew";
    this.#start.classList.toggle("second", resumable !== null);
  }

  /** @param fresh Whether the run begins at its first step. */
  showStarting(fresh: boolean): void {
    if (fresh) {
      this.#chart.clear();
      this.#accuracy.clear();
      this.#samples.clear();
      this.#progress.value = 0;
    }
    this.#summaryAt = -Infinity;
    for (const button of [this.#start, this.#resume]) button.hidden = true;
    this.#stop.hidden = false;
    this.#stop.disabled = false;
    for (const id of ["made", "problem"]) element(id).hidden = true;
    element("log").replaceChildren();
    this.#live.textContent = "Starting.";
  }

  showStopping(): void {
    this.#stop.disabled = true;
    this.#live.textContent = "Stopping after this step.";
  }

  showStopped(): void {
    this.#live.textContent = "Stopped; the last whole step is kept.";
    this.#tellSummary();
  }

  showEvent(event: TrainingEvent): void {
    switch (event.type) {
      case "phase":
        this.#live.textContent = `${event.message[0]!.toUpperCase()}${event.message.slice(1)}.`;
        return this.#log(event.message);
      case "warning":
        return this.#log(`warning: ${event.message}`);
      case "started":
        this.#progress.max = event.summary.totalSteps;
        this.#chart.totalSteps = event.summary.totalSteps;
        for (const choice of event.summary.choices) this.#log(choice);
        return this.#log(
          `${count(event.summary.trainExamples)} training and ${
            count(event.summary.evalExamples)
          } evaluation ` +
            `examples; ${count(event.summary.trainableParameters)} of ` +
            `${count(event.summary.totalParameters)} parameters train`,
        );
      case "step":
        return this.#showStep(event);
      case "evaluated":
        this.#chart.addEvaluation({ step: event.step, loss: event.evalLoss });
        this.#accuracy.add(event);
        return this.#log(evaluationLine(event));
      case "sampled":
        return this.#samples.show(event);
      case "planned":
        return; // a page starts no dry runs
      case "compared":
        return this.#log(
          `merged: loss ${event.losses.quantized.toFixed(4)} on the quantised values, ` +
            `${event.losses.original.toFixed(4)} on the original weights; adapter ${
              event.losses.adapter.toFixed(4)
            }`,
        );
      case "device_lost":
        this.#live.textContent = "The GPU was lost; going on with another device.";
        this.#progress.value = event.step;
        this.#cutAfter(event.step > 0 ? event.step : -1); // the evaluation before the first step comes again
        return this.#log(
          `${event.message}; ${event.step > 0 ? `going on from step ${event.step}` : "beginning anew"} ` +
            `(recovery ${event.recovery} of ${event.mostRecoveries})`,
        );
      case "resumed":
        this.#progress.value = event.step;
        this.#cutAfter(event.step);
        return this.#log(`going on after step ${event.step}`);
      case "checkpointed":
        return this.#log(`checkpoint after step ${event.step}`);
      case "saved":
        return this.#log(`${event.what} saved in ${event.path}`);
      case "finished":
        return this.#showFinished(event);
    }
  }

  /** Offers what a run has made for download. */
  showFiles(files: readonly RunFile[]): void {
    element("made").hidden = false;
    const list = element("files");
    for (const old of list.querySelectorAll("a")) URL.revokeObjectURL(old.href);
    list.replaceChildren(...files.map(({ name, bytes }) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([bytes]));
      link.download = name;
      link.textContent = name;
      const item = document.createElement("li");
      item.append(link, ` ${kibibytes(bytes.length)}`);
      return item;
    }));
  }

  showProblem({ name, message, issues }: PlainError): void {
    const title = document.createElement("h2");
    title.textContent = `The run failed (${name})`;
    const lines = (issues.length > 0 ? issues : [message]).map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    });
    const problem = element("problem");
    problem.replaceChildren(title, ...lines);
    problem.hidden = false;
    this.#live.textContent = "Failed.";
  }

  #showStep(event: StepEvent): void {
    const { step, totalSteps, loss, tokenAccuracy: share, tokensPerSecond, etaSeconds } = event;
    this.#progress.value = step;
    this.#chart.addStep({ step, loss });
    this.#accuracy.add(event);
    const foretold = share === undefined ? "" : `${percent(share)} of tokens foretold · `;
    this.#live.textContent = `Step ${step} of ${totalSteps} · loss ${loss.toFixed(3)} · ${foretold}` +
      `${count(Math.round(tokensPerSecond))} tokens/s · ${clock(etaSeconds)} left`;
    if (performance.now() - this.#summaryAt > SUMMARY_INTERVAL_MS) this.#tellSummary();
  }

  #showFinished(
    { steps, seconds, evalLossBefore, evalLossAfter }: Extract<TrainingEvent, { type: "finished" }>,
  ) {
    this.#live.textContent = `Done: ${steps} steps in ${clock(seconds)}.`;
    element("verdict").textContent = evalLossBefore === null || evalLossAfter === null
      ? "Trained, saved and read back. PEFT reads these files."
      : `Evaluation loss ${evalLossBefore.toFixed(3)} before, ${evalLossAfter.toFixed(3)} after. ` +
        "Saved and read back; PEFT reads these files.";
    this.#tellSummary();
  }

  #tellSummary(): void {
    this.#summaryAt = performance.now();
    this.#summary.textContent = [this.#chart.summary, this.#accuracy.summary].join(" ").trim();
  }

  /** Forgets what the run does again. */
  #cutAfter(step: number): void {
    this.#chart.cutAfter(step);
    this.#accuracy.cutAfter(step);
  }

  #addFact(name: string, value: string): void {
    const term = document.createElement("dt");
    const description = document.createElement("dd");
    term.textContent = name;
    description.textContent = value;
    const pair = document.createElement("div");
    pair.append(term, description);
    element("job").append(pair);
  }

  #log(text: string): void {
    const line = document.createElement("li");
    line.textContent = text;
    element("log").append(line);
  }
}

function evaluationLine({ step, evalLoss, evalTokenAccuracy: share }: EvaluatedEvent): string {
  const foretold = share === undefined ? "" : `, ${percent(share)} of tokens foretold`;
  return `evaluation after step ${step}: loss ${evalLoss.toFixed(3)}${foretold}`;
}

/** With separators: 260,032. */
function count(value: number): string {
  return value.toLocaleString("en");
}

function kibibytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

/** Minutes and seconds, `mm:ss`. */
function clock(seconds: number): string {
  const whole = Math.round(seconds);
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}
