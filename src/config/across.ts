/**
 * What must hold between options.
 *
 * @module
 */
import type * as z from "zod/mini";
import type { ConfigIssue } from "../errors.ts";
import type { flatSchema } from "./fields.ts";
import { followsMetric, scheduleIssues } from "./scheduler_kwargs.ts";

type Options = z.output<typeof flatSchema>;

/** All that is wrong with options each of which is right by itself. */
export function issuesAcross(options: Options): ConfigIssue[] {
  const { lr_scheduler_type, lr_scheduler_kwargs, learning_rate, sgd_momentum, sgd_nesterov } = options;
  const issues = scheduleIssues(lr_scheduler_type, lr_scheduler_kwargs, learning_rate);
  if (sgd_nesterov && sgd_momentum === 0) {
    issues.push({ path: "sgd_momentum", message: "must be above 0 for sgd_nesterov: current value is 0" });
  }
  if (options.job_id === null && (options.tracker === "sqlite" || options.tracker === "firestore")) {
    issues.push({
      path: "job_id",
      message: `must be given, as tracker ${options.tracker} records a job by its id`,
    });
  }
  if (waitsForEvaluations(options) && !evaluatesBetween(options)) {
    issues.push({
      path: "eval_steps",
      message:
        "must be above 0, or eval_strategy epoch, as early_stopping_patience and schedules that follow " +
        `evaluations need some: current value is ${options.eval_steps}, with eval_strategy ${options.eval_strategy}`,
    });
  }
  return issues;
}

function waitsForEvaluations({ early_stopping_patience, lr_scheduler_type }: Options): boolean {
  return early_stopping_patience > 0 || followsMetric(lr_scheduler_type);
}

function evaluatesBetween({ eval_strategy, eval_steps }: Options): boolean {
  return eval_strategy === "epoch" || (eval_strategy === "steps" && eval_steps > 0);
}
