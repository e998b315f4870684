/**
 * What the page knows and does, apart from how it looks.
 *
 * @module
 */
import { computed, signal } from "@preact/signals";
import { type Gate, LOOKING } from "../gate.ts";
import type { RunMessage } from "../protocol.ts";
import type { Wire } from "../protocol/job.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import type { RunEntry, RunStore } from "../protocol/runs.ts";
import { settingsAgain } from "../run_glance.ts";
import { freeRunName } from "../run_name.ts";
import { type ChatEngine, ChatSession } from "./chat_session.ts";
import type { Engine } from "./engine.ts";
import { RefusedError } from "./engine.ts";
import { FinishNotice } from "./finish_notice.ts";
import { type GivenSettings, settingsIn } from "./given_settings.ts";
import { JobForm } from "./job_form.ts";
import { JobInputs } from "./job_inputs.ts";
import { keepStorage } from "./keep_storage.ts";
import { route, routeTo } from "./router.ts";
import { RunDownloads } from "./run_downloads.ts";
import { RunState } from "./run_state.ts";
import type { ServerJobs } from "./server_jobs.ts";

export class PageSession {
  readonly store = signal<RunStore>("device");
  /** Whether the worker has answered: a run can be started. */
  readonly ready = signal(false);
  /** The latest first. */
  readonly runs = signal<readonly RunEntry[]>([]);
  /** The run that the page shows. */
  readonly run = signal<RunState | null>(null);
  /** The run that goes on in this tab; null for none. */
  readonly running = signal<RunState | null>(null);
  /** Name of a run that was looked for and is not there; null for none. */
  readonly missing = signal<string | null>(null);
  /** What kept the page from doing what was asked, outside of a run. */
  readonly problem = signal<PlainError | null>(null);
  /** Where the form's settings were taken from last, in words; empty for nowhere. */
  readonly taken = signal("");
  /** Whether a job runs in this tab. */
  readonly busy = computed(() => this.running.value !== null);
  /** Whether a job is on its way to the server, or back. */
  readonly moving = signal(false);
  readonly form: JobForm;
  /** What is known of the form's model and data. */
  readonly inputs: JobInputs;
  readonly downloads: RunDownloads;
  readonly chat: ChatSession;
  readonly notice = new FinishNotice();
  /** Whether the running job is to leave nothing. */
  #discards = false;
  readonly #found: Promise<Gate>;
  readonly #gate = signal(LOOKING);
  /** How often a run was to be shown. */
  #shows = 0;

  /**
   * @param job What the form has at first.
   * @param gate What the engine answers about this browser.
   * @param engine Where the gate is shut it trains nothing, and does all that needs no GPU.
   * @param server Null where a plain file server has the page.
   */
  constructor(
    readonly job: Wire,
    gate: Promise<Gate>,
    readonly engine: Engine,
    chatEngine: ChatEngine,
    readonly server: ServerJobs | null = null,
  ) {
    this.form = new JobForm(job);
    this.#found = gate;
    this.inputs = new JobInputs(engine, this.form, String(this.form.value("base_model")));
    this.chat = new ChatSession(chatEngine);
    this.downloads = new RunDownloads(engine);
    engine.onRun = (message) => void this.#take(message);
  }

  /** Whether this browser can train. */
  get gate(): Gate {
    return this.#gate.value;
  }

  /** Whether a run can be started, or gone on with, here and now. */
  get isAble(): boolean {
    return this.gate !== LOOKING && this.gate.open && this.ready.value && !this.busy.value;
  }

  /** Asks what the store holds, and whether the gate is open. */
  async open(): Promise<void> {
    await this.#told(async () => {
      const { store, runs } = await this.engine.ask("open", null);
      this.store.value = store;
      this.runs.value = runs;
      this.ready.value = true;
      void this.server?.look(); // whether it wants a token
      const isIdle = () => !this.busy.value && route.value.view === "train";
      this.inputs.follow(isIdle);
      this.#gate.value = await this.#found;
      if (!this.gate.open) return;
      this.inputs.followPlan(isIdle);
      void this.server?.lookForPlaces();
    });
  }

  /** Shows a run that the store holds, unless it is shown already. */
  async show(name: string): Promise<void> {
    const asked = ++this.#shows, running = this.running.value;
    if (this.run.value?.name === name) return;
    if (running?.name === name) return void (this.run.value = running);
    await this.#told(async () => {
      const found = await this.engine.ask("openRun", name).catch(unlessMissing);
      if (asked !== this.#shows) return; // another one was wanted meanwhile
      this.missing.value = found ? null : name;
      if (found) this.run.value = RunState.of(found);
    });
  }

  /** The name that a run of the form's job would have. */
  get nextName(): string {
    return freeRunName(String(this.form.value("output_model_name")), this.runs.value.map(({ name }) => name));
  }

  /** Starts the form's job. Kept runs stay: where one has its name, it gets the next number. */
  start(): void {
    const { values } = this.form, name = this.nextName;
    const jobId = this.server ? { job_id: `page-${crypto.randomUUID()}` } : {};
    const config = { ...values.value, ...jobId, output_model_name: name };
    this.#run(new RunState(name, config), { overwrite: true }); // of a run that ended before its record was written
  }

  /** Starts the form's job on the server, and follows it. */
  async startOnServer(): Promise<void> {
    const config = this.form.values.value;
    await this.#moving(async () => {
      routeTo(`server/${await this.engine.ask("startOnServer", config)}`);
    });
  }

  /** Has the server go on with a run, and follows it there. */
  async handOver(name: string): Promise<void> {
    await this.#moving(async () => {
      const job = await this.engine.ask("handOver", name);
      this.runs.value = await this.engine.ask("runs", null);
      routeTo(`server/${job}`);
    });
  }

  /** Takes a run back from the server, and shows it. */
  async bringBack(name: string): Promise<void> {
    await this.#moving(async () => {
      await this.engine.ask("bringBack", name);
      this.runs.value = await this.engine.ask("runs", null);
      this.run.value = null;
      await this.show(name);
      routeTo(`run/${encodeURIComponent(name)}`);
    });
  }

  /** Takes a job of the server as a run of the page, and shows it. */
  async takeJob(id: string): Promise<void> {
    await this.#moving(async () => {
      const name = await this.engine.ask("takeJob", { id, models: this.inputs.models.value });
      this.runs.value = await this.engine.ask("runs", null);
      await this.show(name);
      routeTo(`run/${encodeURIComponent(name)}`);
    });
  }

  async #moving(act: () => Promise<void>): Promise<void> {
    if (this.moving.value) return; // pressed twice
    this.moving.value = true;
    await this.#told(act);
    this.moving.value = false;
  }

  /**
   * Goes on with a run, with the options that it was begun with.
   *
   * @param onlyOneStep Pauses again at the next report of a step.
   */
  async resume(name: string, onlyOneStep = false): Promise<void> {
    await this.show(name);
    const run = this.run.value;
    if (run?.name === name) this.#run(run, { resume: "auto" }, onlyOneStep);
  }

  /** Ends the running job after its step; its checkpoint is kept. */
  stop(): void {
    this.running.value?.stopping();
    this.engine.stop();
  }

  /** Makes the step that the running job is at its last: it is saved as it is then. */
  finish(): void {
    this.running.value?.finishing();
    this.engine.finish();
  }

  /** Has the running job answer its prompts after the step that it is at. */
  answerNow(): void {
    this.running.value?.answering();
    this.engine.answerNow();
  }

  /** Ends the running job and removes it. */
  discard(): void {
    this.#discards = true;
    this.stop();
  }

  /** Goes on with a run after one of its checkpoints; later ones go. */
  async resumeFrom(name: string, step: number): Promise<void> {
    await this.show(name);
    const run = this.run.value;
    if (run?.name !== name) return;
    this.#run(run, { resume: `runs/${name}/checkpoint-${step}` });
  }

  /** Gives a run another name. */
  async rename(run: string, name: string): Promise<void> {
    await this.#told(async () => {
      await this.engine.ask("renameRun", { run, name });
      if (this.run.value?.name === run) this.run.value = null;
      this.runs.value = await this.engine.ask("runs", null);
    });
  }

  /** Takes settings from elsewhere into the form, and says so. */
  takeSettings({ options, told }: GivenSettings): void {
    this.form.set(options);
    this.taken.value = told;
  }

  /** The same of a config file. */
  async takeConfigFile(file: File): Promise<void> {
    await this.#told(async () => this.takeSettings(await settingsIn(file.name, await file.text())));
  }

  /** Sets the form as a run's was. */
  setUpAgain({ config }: Pick<RunEntry, "config">): void {
    this.form.values.value = settingsAgain(config);
    this.taken.value = `These are the settings of ${config.output_model_name}.`;
    routeTo("train");
  }

  /** Removes a run with all that it holds. */
  async remove(name: string): Promise<void> {
    await this.#told(async () => {
      await this.engine.ask("removeRun", name);
      if (this.run.value?.name === name) this.run.value = null;
      this.missing.value = name;
      this.runs.value = this.runs.value.filter((entry) => entry.name !== name);
    });
  }

  #run(run: RunState, options: Wire, onlyOneStep = false): void {
    if (this.busy.value) return; // pressed twice
    void keepStorage();
    run.begin();
    this.#shows++;
    this.run.value = this.running.value = run;
    this.#discards = false;
    routeTo(`run/${run.name}`);
    this.engine.start({ ...run.config, ...options }, onlyOneStep);
  }

  async #take(message: RunMessage): Promise<void> {
    const run = this.running.value;
    if (!run) return;
    if (message.type === "event") {
      run.take(message.event);
      if (message.event.type === "checkpointed") await this.#told(() => this.#look(run));
      return;
    }
    this.running.value = null;
    if (this.#discards) {
      routeTo("train");
      return await this.remove(run.name);
    }
    if (message.type === "stopped") run.stopped(message.resumable);
    if (message.type === "failed") run.failed(message.error, message.resumable);
    void this.notice.tell(run);
    await this.#told(async () => {
      this.runs.value = await this.engine.ask("runs", null);
      const entry = this.runs.value.find(({ name }) => name === run.name);
      if (!entry) return;
      if (message.type === "failed") run.resumable.value = entry.resumable;
      await this.#look(run);
    });
  }

  /** What the run has made by now. */
  async #look(run: RunState): Promise<void> {
    run.holdings.value = await this.engine.ask("runHoldings", run.name);
  }

  async #told(act: () => Promise<void>): Promise<void> {
    try {
      this.problem.value = null;
      await act();
    } catch (error) {
      this.problem.value = error instanceof RefusedError ? error.plain : plainError(error);
    }
  }
}

/** Nothing, for what is not there. */
function unlessMissing(error: unknown): null {
  if (error instanceof RefusedError && error.plain.name === "StorageNotFoundError") return null;
  throw error;
}
