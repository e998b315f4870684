/**
 * What the events of a server's job say of its run.
 *
 * @module
 */
import type { Sample } from "../../src/job.ts";
import type { ServerEvent } from "../lowrank_server.ts";
import type { RunState } from "./run_state.ts";

/** Has a run take what the server's event tells, as if it had told that itself. */
export function tellRun(run: RunState, { level, message, data }: ServerEvent): void {
  const number = (name: string) => typeof data?.[name] === "number" ? data[name] : NaN;
  const [step, epoch] = [number("step"), number("epoch")];
  if (data && "train_loss" in data) {
    const [totalSteps, tokens] = [number("total_steps"), number("tokens")];
    const tokensPerSecond = number("tokens_per_second");
    run.totalSteps.value = totalSteps;
    return run.take({
      type: "step",
      ...{ step, totalSteps, epoch, tokens, tokensPerSecond },
      loss: number("train_loss"),
      learningRate: number("learning_rate"),
      gradNorm: number("grad_norm"),
      ...share(data.train_mean_token_accuracy, "tokenAccuracy"),
      trainedTokens: NaN, // which the server does not tell, nor the page show
      etaSeconds: (totalSteps - step) * tokens / step / tokensPerSecond,
    });
  }
  if (data && "full_valid_loss" in data) {
    const evalLoss = number("full_valid_loss");
    const accuracy = share(data.full_valid_mean_token_accuracy, "evalTokenAccuracy");
    return run.take({ type: "evaluated", step, epoch, evalLoss, evalTokens: NaN, ...accuracy });
  }
  if (data && Array.isArray(data.samples)) {
    const samples = data.samples as Sample[], exactMatch = data.exact_match as number | null;
    return run.take({ type: "sampled", step, samples, exactMatch, rows: number("rows") });
  }
  if (data && typeof data.totalSteps === "number") run.totalSteps.value = data.totalSteps;
  const where = typeof data?.adapter === "string" ? ` on ${data.adapter}` : "";
  run.note(`${level === "info" ? "" : `${level}: `}${message}${where}`);
}

function share<K extends string>(value: unknown, name: K): { [key in K]?: number } {
  return typeof value === "number" ? { [name]: value } as { [key in K]: number } : {};
}
