/**
 * What must hold between options.
 *
 * @module
 */
import type * as z from "zod/mini";
import type { ConfigIssue } from "../errors.ts";
import type { flatSchema } from "./fields.ts";
import { scheduleIssues } from "./scheduler_kwargs.ts";

/** All that is wrong with options each of which is right by itself. */
export function issuesAcross(options: z.output<typeof flatSchema>): ConfigIssue[] {
  const { lr_scheduler_type, lr_scheduler_kwargs, learning_rate, sgd_momentum, sgd_nesterov } = options;
  const issues = scheduleIssues(lr_scheduler_type, lr_scheduler_kwargs, learning_rate);
  if (sgd_nesterov && sgd_momentum === 0) {
    issues.push({ path: "sgd_momentum", message: "must be above 0 for sgd_nesterov: current value is 0" });
  }
  return issues;
}
