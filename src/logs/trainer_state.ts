/**
 * `trainer_state.json` as transformers writes it, for the many programs that read it: in every checkpoint, and at the end
 * in the run's folder.
 *
 * @see transformers 5.23, `TrainerState` and `Trainer.log`.
 * @module
 */
import type { JudgementState } from "../checkpoint/resume_record.ts";
import type { FineTuneJobConfig } from "../config.ts";
import { ModelFormatError } from "../errors.ts";
import type { TrainingEvent } from "../job.ts";
import { type Folder, readText, writeFile } from "../storage.ts";
import { stepInterval } from "../trainer.ts";

export const TRAINER_STATE_FILE = "trainer_state.json";

/** A report or an evaluation; names as transformers and TRL have them. */
type LogRow = Readonly<Record<string, number>>;

/** The rows of `log_history`, in order. */
export class LogHistory {
  #rows: LogRow[] = [];
  #epoch = 0;
  #tokens = 0;

  /** Goes on with the rows of a checkpoint's file; with none where it has no file. @throws {ModelFormatError} */
  static async resume(checkpoint: Folder): Promise<LogHistory> {
    const history = new LogHistory();
    if (!await checkpoint.exists(TRAINER_STATE_FILE)) return history;
    try {
      const { log_history, epoch, num_input_tokens_seen } = JSON.parse(
        await readText(checkpoint, TRAINER_STATE_FILE),
      );
      history.#rows = [...log_history];
      history.#epoch = Number(epoch);
      history.#tokens = Number(num_input_tokens_seen);
    } catch (cause) {
      throw new ModelFormatError(
        `Cannot resume from "${checkpoint.uri}/${TRAINER_STATE_FILE}": it is damaged`,
        {
          cause,
        },
      );
    }
    return history;
  }

  /** Takes step and evaluation events; ignores others. */
  add(event: TrainingEvent): void {
    if (event.type === "step") {
      const { epoch, step, loss, gradNorm: grad_norm, learningRate: learning_rate, tokens } = event;
      this.#epoch = epoch;
      this.#tokens = tokens;
      const accuracy = event.tokenAccuracy === undefined ? {} : { mean_token_accuracy: event.tokenAccuracy };
      this.#rows.push({ epoch, grad_norm, learning_rate, loss, ...accuracy, num_tokens: tokens, step });
    } else if (event.type === "evaluated") {
      const { epoch, step, evalLoss: eval_loss, evalTokenAccuracy, evalSeconds } = event;
      const accuracy = evalTokenAccuracy === undefined ? {} : { eval_mean_token_accuracy: evalTokenAccuracy };
      const runtime = evalSeconds === undefined ? {} : { eval_runtime: evalSeconds };
      this.#rows.push({ epoch, eval_loss, ...accuracy, ...runtime, step });
    }
  }

  /** The text of the file after a step. `totalSteps` is the length of the whole run. */
  format(
    config: FineTuneJobConfig,
    { step, totalSteps, judgement }: { step: number; totalSteps: number; judgement: JudgementState },
  ): string {
    const { training, job } = config;
    const best = training.loadBestModelAtEnd ? judgement.best : null;
    const state = {
      best_global_step: best?.step ?? null,
      best_metric: best?.metric ?? null,
      best_model_checkpoint: best && `${job.outputDir}/checkpoint-${best.step}`,
      epoch: this.#epoch,
      eval_steps: stepInterval(training.evalSteps, totalSteps),
      global_step: step,
      is_hyper_param_search: false,
      is_local_process_zero: true,
      is_world_process_zero: true,
      log_history: this.#rows.map(sortedKeys),
      logging_steps: stepInterval(training.loggingSteps, totalSteps),
      max_steps: totalSteps,
      num_input_tokens_seen: this.#tokens,
      num_train_epochs: Math.ceil(training.numTrainEpochs),
      save_steps: stepInterval(job.saveSteps, totalSteps),
      stateful_callbacks: callbacks(training, judgement, step >= totalSteps),
      total_flos: 0,
      train_batch_size: training.batchSize,
      trial_name: null,
      trial_params: null,
    };
    return `${JSON.stringify(state, null, 2)}\n`;
  }

  /** Writes the file after a step. */
  write(folder: Folder, ...about: Parameters<LogHistory["format"]>): Promise<void> {
    return writeFile(folder, TRAINER_STATE_FILE, this.format(...about));
  }
}

function callbacks(
  { earlyStoppingPatience, earlyStoppingThreshold }: FineTuneJobConfig["training"],
  { worse }: JudgementState,
  isAtEnd: boolean,
): Record<string, unknown> {
  const stops = earlyStoppingPatience > 0 && worse >= earlyStoppingPatience;
  const control = {
    should_epoch_stop: false,
    should_evaluate: false,
    should_log: false,
    should_save: true,
    should_training_stop: isAtEnd || stops,
  };
  return {
    ...(earlyStoppingPatience > 0
      ? {
        EarlyStoppingCallback: {
          args: {
            early_stopping_patience: earlyStoppingPatience,
            early_stopping_threshold: earlyStoppingThreshold,
          },
          attributes: { early_stopping_patience_counter: worse },
        },
      }
      : {}),
    TrainerControl: { args: control, attributes: {} },
  };
}

/** As Python's `sort_keys` orders them. */
function sortedKeys(row: LogRow): LogRow {
  return Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)));
}
