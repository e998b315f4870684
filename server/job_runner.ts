/**
 * Keeps slots busy with the jobs that wait, writes down what their processes tell, and settles how they end.
 *
 * The database says what ought to be: a job that is cancelled or paused there has its process stopped, and one that is
 * queued there gets a process when a slot is free. So a server that was killed finds in it all that it needs to go on.
 *
 * @module
 */
import { listCheckpoints } from "../src/checkpoint/resume.ts";
import { toWire } from "../src/config.ts";
import type { JobStatus, TrainingEvent } from "../src/job.ts";
import { LocalFolder } from "../src/storage/local.ts";
import type { CheckpointStore } from "./checkpoint_store.ts";
import type { Database } from "./database.ts";
import type { EventStore } from "./event_store.ts";
import type { FileStore } from "./file_store.ts";
import { jobErrorOf, mayPass } from "./job_failures.ts";
import { runConfig } from "./job_options.ts";
import { collectResults, isCompleted, metricsOf, waitingMetrics } from "./job_results.ts";
import { ACTIVE, type JobError, type JobStore, type StoredJob, UNFINISHED } from "./job_store.ts";
import { modelNameOf } from "./job_wire.ts";
import type { JobLauncher, JobOutcome, JobProcess, Slot } from "./launchers/launcher.ts";
import type { ModelCatalog } from "./model_catalog.ts";
import { checkpointEvent, eventOf, eventsOfRow, withoutPaths } from "./training_events.ts";

/** What the runner works with. */
export interface JobRunnerDeps {
  readonly database: Database;
  readonly jobs: JobStore;
  readonly events: EventStore;
  readonly checkpoints: CheckpointStore;
  readonly files: FileStore;
  readonly models: ModelCatalog;
  readonly launcher: JobLauncher;
  readonly slots: readonly Slot[];
  /** Holds a folder for each job, absolute. */
  readonly folder: string;
  /** Crashes in a row, without a new checkpoint between them, after which a job has failed. Default 3. */
  readonly mostCrashes?: number;
  /** Before the second try; doubled after each. Default 2000. */
  readonly pauseMs?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Told of what the runner itself could not do; for the operator. */
  readonly log?: (message: string, error: unknown) => void;
}

/** What routes may ask of it. */
export interface JobControl {
  /** Looks at the jobs again, since some have changed. */
  nudge(): void;
  /** Whether a job has a process, which may write to its folder. */
  isBusy(jobId: string): boolean;
}

/** Folder of a job's run, with adapter and checkpoints, below the folder of all jobs. */
export function runFolder(folder: string, jobId: string): string {
  return `${folder}/${jobId}/run`;
}

interface Running {
  readonly slot: Slot;
  /** Null until it has started. */
  process: JobProcess | null;
  readonly over: Promise<void>;
}

export class JobRunner implements JobControl {
  readonly #deps: Required<JobRunnerDeps>;
  readonly #running = new Map<string, Running>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isNudged = false;
  #isStopping = false;

  constructor(deps: JobRunnerDeps) {
    this.#deps = { mostCrashes: 3, pauseMs: 2000, now: Date.now, log: () => {}, ...deps };
  }

  /** Puts jobs that a server before this one left running back in line, where they were, and begins. */
  start(): void {
    const { jobs } = this.#deps;
    for (const { id } of jobs.inStates(...ACTIVE)) {
      this.#settle(id, ACTIVE, "queued", {}, "The server was restarted: the job is queued to go on");
    }
    this.nudge();
  }

  /** Has every process save a checkpoint and end; their jobs are in line again when this resolves. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    const running = [...this.#running.values()];
    for (const { process } of running) process?.stop();
    await Promise.all(running.map(({ over }) => over));
  }

  /** Jobs that have a process. */
  get busy(): number {
    return this.#running.size;
  }

  isBusy(jobId: string): boolean {
    return this.#running.has(jobId);
  }

  nudge(): void {
    if (this.#isNudged || this.#isStopping) return;
    this.#isNudged = true;
    queueMicrotask(() => {
      this.#isNudged = false;
      this.#look();
    });
  }

  #look(): void {
    if (this.#isStopping) return;
    const { jobs, slots, now } = this.#deps;
    for (const [id, { process }] of this.#running) {
      if (!ACTIVE.includes(jobs.get(id)!.status)) process?.stop();
    }
    const taken = new Set([...this.#running.values()].map(({ slot }) => slot));
    for (const slot of slots.filter((slot) => !taken.has(slot))) {
      const job = jobs.claim(new Set(this.#running.keys()));
      if (!job) break;
      const over = Promise.resolve().then(() => this.#run(job)).catch((error) =>
        this.#breakdown(job.id, error)
      )
        .finally(() => {
          this.#running.delete(job.id);
          this.nudge();
        });
      this.#running.set(job.id, { slot, process: null, over });
    }
    clearTimeout(this.#timer);
    const next = jobs.nextStart();
    if (next !== null) this.#timer = setTimeout(() => this.nudge(), Math.max(0, next - now()));
  }

  /** Runs a job's process from its start to what comes of it. */
  async #run({ id }: StoredJob): Promise<void> {
    const outcome = await this.#process(id);
    const job = this.#deps.jobs.get(id)!;
    if (!UNFINISHED.includes(job.status)) return;
    if (outcome.type === "completed") return await this.#complete(job);
    if (outcome.type === "stopped") {
      const message = "The job was stopped and saved: it is queued to go on";
      return void this.#settle(id, ACTIVE, "queued", {}, message);
    }
    if (outcome.type === "failed" && !mayPass(outcome.error)) {
      return this.#fail(id, jobErrorOf(outcome.error));
    }
    this.#crash(id, outcome);
  }

  async #process(id: string): Promise<JobOutcome> {
    const { jobs, events, launcher, folder } = this.#deps, running = this.#running.get(id)!;
    const job = jobs.get(id)!, run = runFolder(folder, id);
    if (await isCompleted(run)) return { type: "completed" }; // and the server was killed before it knew
    const files = this.#files(job);
    if ("code" in files) return { type: "failed", error: { name: "JobError", ...files } };
    const model = await this.#deps.models.find(job.model);
    if (!model) {
      const message = `The model '${job.model}' does not exist any more.`;
      return { type: "failed", error: { name: "ModelNotFound", message } };
    }
    await Deno.mkdir(run, { recursive: true, mode: 0o700 });
    const config = runConfig({ ...job.options, seed: job.seed }, {
      baseModel: model.basePath,
      adapterPath: model.adapterPath,
      trainingData: files.training,
      evalData: files.validation,
      outputDir: run,
      outputModelName: id,
    });
    events.append(id, { message: validating(job) });
    const order = { jobId: id, config: toWire(config), folder: `${folder}/${id}`, slot: running.slot };
    const process = running.process = launcher.launch(order);
    if (this.#isStopping || !ACTIVE.includes(jobs.get(id)!.status)) process.stop();
    for await (const event of process.events) await this.#note(id, event);
    return await process.outcome;
  }

  /** Paths of the job's data, or what is missing. */
  #files(
    { trainingFile, validationFile }: StoredJob,
  ): { training: string; validation: string | null } | JobError {
    const { files } = this.#deps;
    const training = files.get(trainingFile),
      validation = validationFile === null ? null : files.get(validationFile);
    if (!training) return missing("training_file", trainingFile);
    if (validationFile !== null && !validation) return missing("validation_file", validationFile);
    return {
      training: files.pathOf(training.place),
      validation: validation && files.pathOf(validation.place),
    };
  }

  /** Writes down an event of a run, once: a run that goes on from a checkpoint tells of its last steps again. */
  async #note(id: string, event: TrainingEvent): Promise<void> {
    const { database, jobs, events, checkpoints, folder } = this.#deps;
    const untold = event.type === "resumed" ? await this.#untold(id, event.step) : null;
    database.transaction(() => {
      const job = jobs.get(id)!;
      if (!UNFINISHED.includes(job.status) || isKnown(event, job)) return;
      if (event.type === "resumed") this.#noteUntold(id, untold!, event.step);
      if (event.type === "started") {
        const { totalSteps } = event.summary, startedAt = job.startedAt ?? this.#deps.now();
        if (!jobs.move(id, ACTIVE, "running", { totalSteps, startedAt })) {
          jobs.update(id, { totalSteps, startedAt });
        }
      }
      if (event.type === "step") {
        const { step, totalSteps, etaSeconds, tokens: trainedTokens } = event;
        jobs.update(id, { step, totalSteps, etaSeconds, trainedTokens });
      }
      if (event.type === "evaluated") jobs.update(id, { evaluatedStep: event.step });
      if (event.type === "checkpointed") {
        jobs.update(id, { crashes: 0 });
        checkpoints.add(id, event.step, this.#measured(id));
      }
      const made = eventOf(event);
      if (made) events.append(id, { ...made, message: withoutPaths(made.message) });
    });
    if (event.type === "checkpointed") {
      checkpoints.keepOnly(id, await listCheckpoints(new LocalFolder(runFolder(folder, id))));
    }
  }

  /** What a run has on the disk, whether it was heard of or not. @param step The checkpoint that it goes on from. */
  async #untold(id: string, step: number | null): Promise<LeftByRun> {
    const run = runFolder(this.#deps.folder, id);
    const rows = [...await metricsOf(run), ...(step === null ? [] : await waitingMetrics(run, step))];
    return { rows, checkpoints: await listCheckpoints(new LocalFolder(run)) };
  }

  /** Writes down what a run told when nobody was there to hear it. @param last The last step that counts. */
  #noteUntold(id: string, { rows, checkpoints }: LeftByRun, last = Infinity): void {
    const saved = new Set(checkpoints);
    for (const row of rows.filter(({ step }) => step <= last)) {
      this.#noteRow(id, row);
      if (saved.delete(row.step)) this.#noteCheckpoint(id, row.step);
    }
    for (const step of saved) if (step <= last) this.#noteCheckpoint(id, step);
  }

  #noteCheckpoint(id: string, step: number): void {
    const { checkpoints, events } = this.#deps;
    const isNew = checkpoints.add(id, step, this.#measured(id));
    if (isNew) events.append(id, checkpointEvent(step));
  }

  /** Events of a step that the run told when nobody was there to write them down. */
  #noteRow(id: string, row: Awaited<ReturnType<typeof metricsOf>>[number]): void {
    const { jobs, events } = this.#deps, { step, evaluatedStep, totalSteps } = jobs.get(id)!;
    const isNewStep = row.loss !== null && row.step > step;
    const isNewEvaluation = row.eval_loss !== null && row.step > evaluatedStep;
    const news = {
      ...row,
      loss: isNewStep ? row.loss : null,
      eval_loss: isNewEvaluation ? row.eval_loss : null,
    };
    for (const event of eventsOfRow(news, totalSteps)) events.append(id, event);
    if (isNewStep) {
      jobs.update(id, { step: row.step, ...(row.tokens === null ? {} : { trainedTokens: row.tokens }) });
    }
    if (isNewEvaluation) jobs.update(id, { evaluatedStep: row.step });
  }

  /** The last numbers that were told, for a checkpoint. */
  #measured(id: string): Record<string, number> {
    const names = [
      "train_loss",
      "train_mean_token_accuracy",
      "full_valid_loss",
      "full_valid_mean_token_accuracy",
    ];
    const { entries } = this.#deps.events.list(id, null, 50);
    const found: Record<string, number> = { step: this.#deps.jobs.get(id)!.step };
    for (const { type, data } of entries) {
      for (const name of names) {
        if (type === "metrics" && typeof data?.[name] === "number") found[name] ??= data[name];
      }
    }
    return found;
  }

  async #complete({ id }: StoredJob): Promise<void> {
    const { database, jobs, events, files, folder, now } = this.#deps;
    const results = await collectResults(runFolder(folder, id)), untold = await this.#untold(id, null);
    database.transaction(() => {
      const before = jobs.get(id)!, { step: lastStep = null } = untold.rows.at(-1) ?? {};
      if (!UNFINISHED.includes(before.status)) return;
      jobs.update(id, {
        totalSteps: before.totalSteps ?? lastStep, // neither is known where nobody heard of its start
        startedAt: before.startedAt ?? now(),
      });
      this.#noteUntold(id, untold);
      const job = jobs.get(id)!;
      const resultFiles = results.map(({ filename, bytes, kind, path }) =>
        files.addResult(filename, bytes, { kind, path: `jobs/${id}/run/${path}` }).id
      );
      const fineTunedModel = modelNameOf(job);
      const changes = { fineTunedModel, resultFiles, finishedAt: now(), etaSeconds: null };
      if (!jobs.move(id, UNFINISHED, "completed", changes)) return;
      events.append(id, { message: `New fine-tuned model created: ${fineTunedModel}` });
      events.append(id, { message: "The job has successfully completed" });
    });
  }

  #fail(id: string, error: JobError): void {
    const { database, jobs, events, now } = this.#deps;
    database.transaction(() => {
      const failed = jobs.move(id, UNFINISHED, "failed", { error, finishedAt: now(), etaSeconds: null });
      if (failed) {
        events.append(id, {
          level: "error",
          message: `The job failed: ${error.message}`,
          data: { ...error },
        });
      }
    });
  }

  /** Tries again after a while, unless it crashed too often. */
  #crash(id: string, outcome: Extract<JobOutcome, { type: "crashed" | "failed" }>): void {
    const { jobs, mostCrashes, pauseMs, now } = this.#deps;
    const crashes = jobs.get(id)!.crashes + 1;
    const why = withoutPaths(
      outcome.type === "crashed" ? `its process ${outcome.how}` : outcome.error.message,
    );
    if (crashes > mostCrashes) {
      const log = outcome.type === "crashed" && outcome.logEnd ? `\n${withoutPaths(outcome.logEnd)}` : "";
      const message = `The job crashed ${crashes} times in a row (${why}).${log}`;
      return this.#fail(id, { code: "crashed", message, param: null });
    }
    const pause = pauseMs * 2 ** (crashes - 1),
      message = `The job crashed (${why}): trying again in ${pause / 1000} s`;
    this.#settle(id, ACTIVE, "queued", { crashes, notBefore: now() + pause }, message, "warn");
  }

  /** What befell the runner and not the job. */
  #breakdown(id: string, error: unknown): void {
    this.#deps.log(`job ${id}`, error);
    this.#fail(id, {
      code: "server_error",
      message: "The server had an error while running the job.",
      param: null,
    });
  }

  #settle(
    id: string,
    from: readonly JobStatus[],
    to: JobStatus,
    changes: Partial<Pick<StoredJob, "crashes" | "notBefore">>,
    message: string,
    level: "info" | "warn" = "info",
  ): void {
    const { database, jobs, events } = this.#deps;
    database.transaction(() => {
      if (jobs.move(id, from, to, { etaSeconds: null, ...changes })) events.append(id, { level, message });
    });
  }
}

/** What a run keeps of its course. */
interface LeftByRun {
  readonly rows: Awaited<ReturnType<typeof metricsOf>>;
  /** Their steps. */
  readonly checkpoints: readonly number[];
}

/** Whether a run told this before. */
function isKnown(event: TrainingEvent, { step, evaluatedStep }: StoredJob): boolean {
  if (event.type === "step") return event.step <= step;
  return event.type === "evaluated" && event.step <= evaluatedStep;
}

function validating({ trainingFile, validationFile }: StoredJob): string {
  return `Validating training file: ${trainingFile}` +
    (validationFile === null ? "" : ` and validation file: ${validationFile}`);
}

function missing(param: "training_file" | "validation_file", id: string): JobError {
  return { code: `invalid_${param}`, message: `The file ${id} does not exist any more.`, param };
}
