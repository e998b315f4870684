/**
 * Everything that a run leaves in its folder about its course, kept together:
 *
 *     metrics.jsonl          a line for each report
 *     samples.json           answers to held-out prompts
 *     tensorboard/           event files, where `report_to` asks for them
 *     trainer_state.json     at the end, and in every checkpoint
 *     report.html            at the end
 *
 * @module
 */
import type { Checkpoint } from "../checkpoint/resume.ts";
import type { JudgementState, MetricsState, TrainerState } from "../checkpoint/resume_record.ts";
import type { FineTuneJobConfig } from "../config.ts";
import type { TrainingEvent } from "../job.ts";
import { METRICS_FILE, MetricsLog, type MetricsRow, type RunRecord } from "../run_files.ts";
import { type Folder, readText, writeFile } from "../storage.ts";
import { REPORT_FILE, runReport } from "./run_report.ts";
import { SAMPLES_FILE, SamplesFile } from "./samples_file.ts";
import { TENSORBOARD_FOLDER, TensorBoardLog } from "./tensorboard.ts";
import { LogHistory, TRAINER_STATE_FILE } from "./trainer_state.ts";

/** Files about a run's course in its folder. */
export const LOG_FILES: readonly string[] = [METRICS_FILE, SAMPLES_FILE, TRAINER_STATE_FILE, REPORT_FILE];

/** The parts of {@link RunLogs}. */
interface Parts {
  readonly metrics: MetricsLog;
  readonly history: LogHistory;
  readonly samples: SamplesFile;
  readonly board: TensorBoardLog | null;
}

export class RunLogs {
  readonly #output: Folder;
  readonly #config: FineTuneJobConfig;
  readonly #parts: Parts;
  #judgement: JudgementState = { best: null, worse: 0 };

  private constructor(output: Folder, config: FineTuneJobConfig, parts: Parts) {
    this.#output = output;
    this.#config = config;
    this.#parts = parts;
  }

  /**
   * Begins the logs of a run, or goes on where a checkpoint was written.
   *
   * @throws {ModelFormatError} If a file is damaged, or has lost what the checkpoint counts.
   */
  static async open(
    output: Folder,
    config: FineTuneJobConfig,
    checkpoint: Checkpoint | null,
  ): Promise<RunLogs> {
    for (const name of [REPORT_FILE, TRAINER_STATE_FILE]) await output.remove(name);
    const boards = config.training.reportTo === "tensorboard";
    if (!checkpoint) {
      await output.remove(SAMPLES_FILE);
      await output.removeFolder(TENSORBOARD_FOLDER);
      return new RunLogs(output, config, {
        metrics: new MetricsLog(output),
        history: new LogHistory(),
        samples: new SamplesFile(output),
        board: boards ? await TensorBoardLog.start(output) : null,
      });
    }
    const { folder, record: { step, metrics, judgement } } = checkpoint;
    const logs = new RunLogs(output, config, {
      metrics: await MetricsLog.resume(output, metrics),
      history: await LogHistory.resume(folder),
      samples: await SamplesFile.resume(output, step),
      board: boards ? await TensorBoardLog.start(output, step) : null,
    });
    logs.#judgement = judgement;
    return logs;
  }

  /** What a checkpoint needs to know. */
  get state(): MetricsState {
    return this.#parts.metrics.state;
  }

  /** Waits until what a checkpoint counts is on the medium. */
  sync(): Promise<void> {
    return this.#parts.metrics.sync();
  }

  /** Takes every event of a run. */
  async add(event: TrainingEvent): Promise<void> {
    const { metrics, history, samples, board } = this.#parts;
    history.add(event);
    await metrics.add(event);
    await samples.add(event);
    await board?.add(event);
  }

  /** Writes the checkpoint's own trainer_state.json. */
  async writeState(checkpoint: Folder, { step, judgement }: TrainerState, totalSteps: number): Promise<void> {
    this.#judgement = judgement;
    await this.#parts.history.write(checkpoint, this.#config, { step, totalSteps, judgement });
  }

  /** Writes the line that waits. */
  flush(): Promise<void> {
    return this.#parts.metrics.flush();
  }

  /** Writes what stands at the end of a run, however it ended. */
  async finish(record: RunRecord): Promise<void> {
    const { steps: step, total_steps: totalSteps } = record;
    await this.flush();
    await this.#parts.history.write(this.#output, this.#config, {
      step,
      totalSteps,
      judgement: this.#judgement,
    });
    const metrics = await this.#metricsRows();
    const { rounds } = this.#parts.samples, name = this.#config.job.outputModelName;
    await writeFile(this.#output, REPORT_FILE, runReport({ name, record, metrics, rounds }));
  }

  async #metricsRows(): Promise<MetricsRow[]> {
    if (!await this.#output.exists(METRICS_FILE)) return [];
    const lines = (await readText(this.#output, METRICS_FILE)).trimEnd().split("\n");
    return lines.map((line) => JSON.parse(line));
  }
}
