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
  issues.push(...layerIssues(options), ...initIssues(options));
  if (sgd_nesterov && sgd_momentum === 0) {
    issues.push({ path: "sgd_momentum", message: "must be above 0 for sgd_nesterov: current value is 0" });
  }
  issues.push(...placeIssues(options));
  if (options.job_id === null && options.tracker !== "auto" && options.tracker !== "none") {
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

/** Runs are written to a folder and copied to a bucket. */
function placeIssues({ gcs_bucket, gcs_prefix, output_dir }: Options): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  if (gcs_prefix !== null && gcs_bucket === null) {
    issues.push({ path: "gcs_prefix", message: "must come with gcs_bucket, in which it is a folder" });
  }
  if (output_dir !== undefined && /^[a-z][a-z0-9+.-]+:\/\//.test(output_dir)) {
    issues.push({
      path: "output_dir",
      message:
        `must be a folder of this machine, and output_uri the place in a bucket: current value is "${output_dir}"`,
    });
  }
  return issues;
}

/** The start has a say only where there is one, and some ask for something of rank or base. */
function initIssues(options: Options): ConfigIssue[] {
  const { init_lora_weights: init, adapter_path, load_in_4bit, load_in_8bit, lora_r, rank_pattern } = options;
  const issue = (
    message: string,
  ) => [{ path: "init_lora_weights", message: `${message}: current value is ${init}` }];
  if (init !== true && adapter_path !== null) return issue("has no say for an adapter to continue from");
  const odd = [lora_r, ...Object.values(rank_pattern)].find((rank) => rank % 2 !== 0);
  if (init === "orthogonal" && odd !== undefined) return issue(`needs even ranks and finds ${odd}`);
  if (typeof init === "string" && /^(pissa|olora)/.test(init) && (load_in_4bit || load_in_8bit)) {
    return issue(
      "takes a part out of the base, and what is left is not what quantising the whole base gives: the saved adapter " +
        "would not fit it; set quantization to none, or choose another start",
    );
  }
  return [];
}

/** PEFT takes layers for lists of names only; what is meant by all-linear is written as one. */
function layerIssues({ target_modules, layers_to_transform, layers_pattern }: Options): ConfigIssue[] {
  if (layers_pattern && !layers_to_transform) {
    return [{ path: "layers_pattern", message: "must come with layers_to_transform, whose layers it names" }];
  }
  if (!layers_to_transform || typeof target_modules !== "string" || /^all-linear$/i.test(target_modules)) {
    return [];
  }
  return [{
    path: "layers_to_transform",
    message: "cannot narrow a regular expression: name the layers in target_modules, or list names there",
  }];
}

function waitsForEvaluations({ early_stopping_patience, lr_scheduler_type }: Options): boolean {
  return early_stopping_patience > 0 || followsMetric(lr_scheduler_type);
}

function evaluatesBetween({ eval_strategy, eval_steps }: Options): boolean {
  return eval_strategy === "epoch" || (eval_strategy === "steps" && eval_steps > 0);
}
