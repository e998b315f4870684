/**
 * Whether a run may go on from a checkpoint: all that decides the adapter's bits must be as it was.
 *
 * @module
 */
import { CONFIG_FIELDS } from "../config.ts";
import type { ConfigIssue } from "../errors.ts";
import type { ResumeRecord, RunIdentity } from "./resume_record.ts";

/** Options that decide what is told, saved and refused, and no bit of the parameters. An option not named here decides. */
const FREE_OPTIONS: ReadonlySet<string> = new Set([
  "output_model_name",
  "output_dir",
  "save",
  "adapter_name",
  "merge_base",
  "overwrite",
  "resume",
  "gpu",
  "require_gpu",
  "max_device_recoveries",
  "memory_limit_gb",
  "gradient_checkpointing",
  "retune",
  "logging_steps",
  "num_generation_samples",
  "report_to",
  "sample_prompts",
  "sample_steps",
  "exact_match",
  "save_steps",
  "save_minutes",
  "save_total_limit",
  "gcs_bucket",
  "gcs_prefix",
  "output_uri",
  "upload_checkpoints",
  "plugins",
  "job_id",
  "tracker",
  "tracker_path",
  "firestore_project",
  "firestore_collection",
]);

/** Options that decide when and how evaluations are made: free where nothing follows from those. */
const EVALUATION_OPTIONS: ReadonlySet<string> = new Set(["eval_steps", "eval_strategy", "eval_packing"]);

/** Options that name files: what the files hold is compared, wherever they lie. */
const CONTENT_OPTIONS: ReadonlySet<string> = new Set([
  "base_model",
  "training_data_path",
  "eval_data_path",
  "chat_template_path",
]);

/** Options that say how long a run is. */
const LENGTH_OPTIONS: ReadonlySet<string> = new Set(["max_steps", "num_train_epochs"]);

/**
 * All that differs between a checkpoint and the run that wants to go on from it; empty if it may.
 *
 * The length of the run may be changed where no learning rate depends on it: with the constant schedules, unless the
 * warm-up is a share of all steps. The steps done are then those of the longer run, bit for bit; the shorter one only
 * reported and evaluated once more at its end.
 *
 * @param then Written into the checkpoint.
 * @param now Of the run that is about to start.
 */
export function resumeIssues(then: ResumeRecord, now: Omit<RunIdentity, "gpu">): ConfigIssue[] {
  const since = `as in checkpoint-${then.step}`;
  const issues = optionIssues(then, now, since);
  const content = (path: string, holds: string, before: string | null, found: string | null) => {
    if (before === found) return;
    const short = (hash: string | null) => hash === null ? "none" : `sha256 ${hash.slice(0, 12)}`;
    issues.push({
      path,
      message: `must hold the same ${holds} ${since} (${short(before)}): found ${short(found)}`,
    });
  };
  content("base_model", "model", then.base_model, now.base_model);
  content("training_data_path", "rows", then.data.train, now.data.train);
  content("eval_data_path", "rows", then.data.eval, now.data.eval);
  // what follows from options and files needs a word of its own only where none of those differs
  if (issues.length === 0) {
    content("base_model", "tokenizer and chat template", then.rows, now.rows);
  }
  return issues;
}

function optionIssues(then: ResumeRecord, now: Omit<RunIdentity, "gpu">, since: string): ConfigIssue[] {
  const names = [...new Set([...Object.keys(then.config), ...Object.keys(now.config)])];
  return names.flatMap((name): ConfigIssue[] => {
    const [before, found] = [show(optionOf(then.config, name)), show(optionOf(now.config, name))];
    if (before === found || FREE_OPTIONS.has(name) || CONTENT_OPTIONS.has(name)) return [];
    if (EVALUATION_OPTIONS.has(name) && !evaluationsDecide(then.config)) return [];
    if (!LENGTH_OPTIONS.has(name)) {
      return [{ path: name, message: `must be ${before} ${since}: current value is ${found}` }];
    }
    if (lengthDecides(then.config)) {
      const because = evaluationsDecide(then.config)
        ? "since the evaluation at the end of a run decides how it goes on"
        : "since the learning rates depend on the length of the run (a new run with adapter_path trains " +
          "its adapter on)";
      return [{ path: name, message: `must be ${before} ${since}, ${because}: current value is ${found}` }];
    }
    if (now.total_steps >= then.step) return [];
    const message = `leads to ${now.total_steps} steps, and checkpoint-${then.step} has more: ` +
      `current value is ${found}`;
    return [{ path: name, message }];
  });
}

/** Whether the learning rate of a step depends on how many steps there are, see `learningRateAt()`. */
function lengthDecides(config: RunIdentity["config"]): boolean {
  const { lr_scheduler_type: type, warmup_steps: warmup } = config;
  // the shorter run evaluated at its end, and that counted
  if (evaluationsDecide(config)) return true;
  if (type === "constant") return false;
  const isEndless = type === "constant_with_warmup" || type === "inverse_sqrt";
  return !isEndless || (typeof warmup === "number" && warmup > 0 && warmup < 1);
}

/** Whether evaluations decide learning rates, when the run ends, or which weights are saved. */
function evaluationsDecide(config: RunIdentity["config"]): boolean {
  const { lr_scheduler_type: type, early_stopping_patience: patience, load_best_model_at_end: best } = config;
  return type === "reduce_lr_on_plateau" || type === "greedy" || Number(patience ?? 0) > 0 || best === true;
}

/** An option's value; its default where the config is that of a version that did not know it. */
function optionOf(config: RunIdentity["config"], name: string): unknown {
  if (name in config) return config[name];
  return CONFIG_FIELDS.find(({ wireName }) => wireName === name)?.default;
}

function show(value: unknown): string {
  return value === undefined ? "missing" : JSON.stringify(value);
}
