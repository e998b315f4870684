/**
 * What a run tells, in the words of a job's events.
 *
 * @module
 */
import type { TrainingEvent } from "../src/job.ts";
import type { NewEvent } from "./event_store.ts";
import type { MetricsRow } from "../src/run_files.ts";

/** An event for clients; null for what they need not know. Texts may still hold paths. */
export function eventOf(event: TrainingEvent): NewEvent | null {
  switch (event.type) {
    case "phase":
      return { message: sentence(event.message) };
    case "warning":
      return { level: "warn", message: event.message };
    case "started": {
      const {
        summary: { adapter, softwareAdapter, trainExamples, evalExamples, totalSteps, trainableParameters },
      } = event;
      const data = { adapter, softwareAdapter, trainExamples, evalExamples, totalSteps, trainableParameters };
      return { message: "Fine-tuning job started", data };
    }
    case "step":
      return metrics(event.step, event.totalSteps, {
        train_loss: event.loss,
        train_mean_token_accuracy: event.tokenAccuracy,
        learning_rate: event.learningRate,
        grad_norm: event.gradNorm,
        epoch: event.epoch,
        tokens: event.tokens,
        tokens_per_second: event.tokensPerSecond,
      });
    case "evaluated":
      return metrics(event.step, null, {
        full_valid_loss: event.evalLoss,
        full_valid_mean_token_accuracy: event.evalTokenAccuracy,
        epoch: event.epoch,
      });
    case "sampled": {
      const { step, samples, exactMatch, rows } = event;
      return {
        message: `Samples after step ${step}`,
        data: { step, samples, exact_match: exactMatch, rows },
      };
    }
    case "compared": {
      const { mergeBase, losses } = event;
      return { message: "Merged model compared", data: { merge_base: mergeBase, losses: { ...losses } } };
    }
    case "device_lost": {
      const { message, step, recovery, mostRecoveries } = event;
      return {
        level: "warn",
        message:
          `The GPU was lost (${message}): going on from step ${step}, recovery ${recovery} of ${mostRecoveries}`,
      };
    }
    case "resumed":
      return { message: `Going on from the checkpoint of step ${event.step}` };
    case "checkpointed":
      return checkpointEvent(event.step);
    case "saved":
      return { message: event.what === "adapter" ? "Adapter saved" : "Merged model saved" };
    default:
      return null;
  }
}

export function checkpointEvent(step: number): NewEvent {
  return { message: `Checkpoint created at step ${step}`, data: { step } };
}

/** Events of a line of metrics.jsonl, for steps whose events were lost with the server. */
export function eventsOfRow(row: MetricsRow, totalSteps: number | null): NewEvent[] {
  const events: NewEvent[] = [];
  if (row.loss !== null) {
    events.push(metrics(row.step, totalSteps, {
      train_loss: row.loss,
      train_mean_token_accuracy: row.token_accuracy,
      learning_rate: row.learning_rate,
      grad_norm: row.grad_norm,
      epoch: row.epoch,
      tokens: row.tokens,
      tokens_per_second: row.tokens_per_second,
    }));
  }
  if (row.eval_loss !== null) {
    events.push(metrics(row.step, null, {
      full_valid_loss: row.eval_loss,
      full_valid_mean_token_accuracy: row.eval_token_accuracy,
      epoch: row.epoch,
    }));
  }
  return events;
}

/** `Step 88/300: training loss=0.22`, with the numbers beside it. */
function metrics(
  step: number,
  totalSteps: number | null,
  values: Readonly<Record<string, number | null | undefined>>,
): NewEvent {
  const known = Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== null && value !== undefined),
  ) as Record<string, number>;
  const losses = [["training loss", known.train_loss], ["full validation loss", known.full_valid_loss]]
    .flatMap(([name, loss]) => loss === undefined ? [] : [`${name}=${Number(loss).toFixed(4)}`]);
  const of = totalSteps === null ? "" : `/${totalSteps}`;
  const data = { step, ...(totalSteps === null ? {} : { total_steps: totalSteps }), ...known };
  return { type: "metrics", message: `Step ${step}${of}: ${losses.join(", ")}`, data };
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** Absolute paths, but for what stands in URLs. */
const PATH = /(?<![\w:/.-])(?:[A-Za-z]:)?\/(?:[^\s/"'`,;:()]+\/)+([^\s/"'`,;:()]*)/g;

/** A text with the last part of each path in place of it: where the server keeps its files is its own affair. */
export function withoutPaths(text: string): string {
  return text.replace(PATH, (_, name: string) => name || "folder");
}
