/**
 * What the page knows of the form's model and data, and of the run that they would make: asked of the worker anew
 * whenever an option that matters changes.
 *
 * @module
 */
import { batch, computed, effect, type Signal, signal } from "@preact/signals";
import type { NoteOf, Question, Questions } from "../protocol.ts";
import type { DataFacts, DataRow, NamedContent } from "../protocol/data.ts";
import type { ByteProgress, JobPlan, Wire } from "../protocol/job.ts";
import type { KeptModel, ModelFacts, PickedFiles } from "../protocol/models.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import { serverModelId } from "../server_model.ts";
import { type Engine, RefusedError } from "./engine.ts";
import type { JobForm } from "./job_form.ts";
import { keepStorage } from "./keep_storage.ts";

/** How long an option must stand before the worker is asked, milliseconds. */
const SETTLED_MS = 300;

/** Options that change what data becomes. */
const DATA_OPTIONS = [
  "base_model",
  "training_data_path",
  "eval_data_path",
  "data_format",
  "column_mapping",
  "on_bad_line",
  "train_on",
  "max_length",
  "train_test_split",
  "allow_special_tokens",
  "chat_template_path",
  "seed",
];

/** An answer of the worker, why there is none, or neither while it is waited for. */
export interface Asked<T> {
  readonly value: T | null;
  readonly problem: PlainError | null;
  readonly waiting: boolean;
}

/** Nothing was asked yet. */
export const NOTHING = { value: null, problem: null, waiting: false };

export class JobInputs {
  readonly model = signal<Asked<ModelFacts>>(NOTHING);
  readonly data = signal<Asked<DataFacts>>(NOTHING);
  readonly plan = signal<Asked<JobPlan>>(NOTHING);
  /** How far the data is read; null before the first piece. */
  readonly reading = signal<ByteProgress | null>(null);
  /** Paths of the models that can be chosen. */
  readonly models = signal<readonly string[]>([]);
  /** What the device has of models, unfinished downloads among it. */
  readonly kept = signal<readonly KeptModel[]>([]);
  readonly #engine: Engine;
  readonly #form: JobForm;
  /** Whether files are taken, which is not done yet. */
  readonly isTaking = computed(() => this.#takings.value.length > 0);
  readonly #takings = signal<readonly { readonly into: unknown }[]>([]);
  /** Rises with all that is taken: other files may come by the name of those before. */
  readonly #taken = signal(0);
  /** What ends the questions whose answers are waited for. */
  readonly #asking = new Map<Signal<Asked<unknown>>, AbortController>();

  /**
   * @param bundled Path of the page's own model.
   */
  constructor(engine: Engine, form: JobForm, readonly bundled: string) {
    this.#engine = engine;
    this.#form = form;
    this.models.value = [bundled];
  }

  /** Asks now, and again whenever the form changes, as long as `isIdle` says so. */
  follow(isIdle: () => boolean): void {
    void this.listModels();
    this.#whenSettled(
      isIdle,
      this.model,
      ["base_model"],
      () => this.#ask(this.model, "modelFacts", this.#modelPath),
    );
    this.#whenSettled(
      isIdle,
      this.data,
      DATA_OPTIONS,
      async () => {
        const options = this.#dataOptions;
        if (!options) return void (this.data.value = { ...this.data.value, waiting: false });
        this.reading.value = null;
        await this.#ask(this.data, "dataFacts", options, (note) => {
          if ("facts" in note) return note.facts;
          this.reading.value = note.progress;
          return null;
        });
      },
    );
  }

  /** The same for the plan, which only who has a GPU needs. */
  followPlan(isIdle: () => boolean): void {
    this.#whenSettled(isIdle, this.plan, null, async () => {
      const { value } = this.#form.values;
      await answered(this.data); // the plan reads it too, and large files take minutes
      if (value !== this.#form.values.value || !isIdle()) return;
      // bad data is told with the data; a plan could say no more
      if (this.#form.checked.value.config) await this.#ask(this.plan, "plan", value);
      else this.plan.value = NOTHING;
    });
  }

  /** Whether it is known that a run of the form's job would fail here, and told where it was found. */
  get hasProblem(): boolean {
    return [this.model, this.data, this.plan].some(({ value: { problem, waiting } }) =>
      !waiting && problem !== null && problem.name !== "WorkerLostError" // the next worker may do it
    );
  }

  /** What data becomes depends on these alone, so that no other is told with the data; null while one of them is wrong. */
  get #dataOptions(): Wire | null {
    const { values: { value }, checked } = this.#form;
    if (checked.value.issues.some(({ path }) => DATA_OPTIONS.includes(path))) return null;
    const given = Object.entries(value).filter(([name]) => DATA_OPTIONS.includes(name));
    return { output_model_name: "data", ...Object.fromEntries(given) };
  }

  /** Resolves when no plan is waited for. */
  planned(): Promise<void> {
    return answered(this.plan);
  }

  /** Takes picked files as the base model, kept on the device or for this visit. */
  async takeModel(picked: PickedFiles, keep: boolean): Promise<void> {
    await this.#take(this.model, async () => {
      if (keep) void keepStorage();
      const uri = await this.#engine.ask(keep ? "keepModel" : "pickModel", picked);
      this.models.value = [...new Set([...this.models.value, uri])];
      if (keep) await this.lookAtKept();
      return { base_model: uri };
    });
  }

  /** Removes a model from the device; the bundled one takes its place in the form. @throws {RefusedError} */
  async removeModel(uri: string): Promise<void> {
    await this.#engine.ask("removeModel", uri);
    if (this.#modelPath === uri) this.#form.set({ base_model: this.bundled });
    await this.lookAtKept();
  }

  /** Asks what the device has of models. */
  async lookAtKept(): Promise<void> {
    this.kept.value = await this.#engine.ask("models", null).catch(() => []);
    const whole = this.kept.value.filter(({ download }) => download === null).map(({ uri }) => uri);
    const elsewhere = this.models.value.filter((uri) => !uri.startsWith("device/"));
    this.models.value = [...elsewhere, ...whole];
  }

  /** Takes a file or a text as the training data; what was held out of the former data no longer is. */
  async takeData(given: NamedContent): Promise<void> {
    const former = { eval_data_path: undefined, column_mapping: undefined, on_bad_line: undefined };
    let first: DataFacts | null = null;
    const isTaken = await this.#take(this.data, async () => {
      // large files take a while to be kept
      void this.#peek(given, former).then((facts) => first = facts);
      const path = await this.#engine.ask("keepData", { ...given, purpose: "train" });
      return { training_data_path: path, ...former };
    });
    const { value, waiting } = this.data.value;
    if (isTaken && first && value === null && waiting) {
      this.data.value = { value: first, problem: null, waiting };
    }
  }

  /** Shows the first rows of what is being taken. */
  async #peek(given: NamedContent, changes: Wire): Promise<DataFacts | null> {
    const before = this.data.value, config = { ...this.#dataOptions, ...changes, training_data_path: "peek" };
    const facts = await this.#engine.ask("peekData", { ...given, config }).catch(() => null);
    if (facts && this.data.value === before) this.data.value = { value: facts, problem: null, waiting: true };
    return facts;
  }

  /** Takes a file as the data to evaluate on; null holds rows of the training data out again. */
  async takeEvaluation(given: NamedContent | null): Promise<void> {
    if (given === null) return this.#form.set({ eval_data_path: undefined });
    await this.#take(this.data, async () => {
      return { eval_data_path: await this.#engine.ask("keepData", { ...given, purpose: "eval" }) };
    });
  }

  /** A row of the data as it is trained, by its number from 0; null if there is none. @throws {RefusedError} */
  row(row: number): Promise<DataRow | null> {
    return this.#engine.ask("dataRow", { config: this.#dataOptions ?? this.#form.values.value, row });
  }

  /** Looks again which models there are, on the device and on the page's server. */
  async listModels(): Promise<void> {
    const none = () => [];
    const [server] = await Promise.all([
      this.#engine.ask("serverModels", null).catch(none), // whoever starts a job there is told why
      this.lookAtKept(),
    ]);
    const own = this.bundled.slice(this.bundled.lastIndexOf("/") + 1); // which the server has by the same name
    const others = server.filter((path) => serverModelId(path) !== own);
    this.models.value = [...new Set([...this.models.value, ...others])];
  }

  /** Takes one of {@link models} as the base model. */
  async chooseModel(path: string): Promise<void> {
    if (serverModelId(path) === null) return this.#form.set({ base_model: path });
    await this.#take(this.model, async () => {
      const found = await this.#engine.ask("modelPath", path);
      this.models.value = this.models.value.map((one) => one === path ? found : one);
      return { base_model: found };
    });
  }

  get #modelPath(): string {
    return String(this.#form.value("base_model"));
  }

  /**
   * Puts what the user gave into the form, which has the worker asked about it. What was given last counts.
   *
   * @returns Whether it was this.
   */
  async #take<T>(into: Signal<Asked<T>>, keep: () => Promise<Wire>): Promise<boolean> {
    this.#asking.get(into)?.abort(); // the worker is free for it then
    const taking = { into }, others = this.#takings.value.filter((one) => one.into !== into);
    const isLast = () => this.#takings.value.includes(taking);
    this.#takings.value = [...others, taking];
    into.value = { ...into.value, problem: null, waiting: true };
    try {
      const options = await keep();
      if (!isLast()) return false;
      batch(() => {
        into.value = NOTHING;
        this.#form.set(options);
        this.#taken.value++;
      });
      return true;
    } catch (error) {
      if (isLast()) into.value = { value: null, problem: asPlain(error), waiting: false };
      return false;
    } finally {
      this.#takings.value = this.#takings.value.filter((one) => one !== taking);
    }
  }

  /**
   * Acts when options (null for all) have stood for a while, and once at first. Meanwhile what was answered for others is
   * marked as waiting, and what a run has cut short is asked again after it.
   */
  #whenSettled(
    isIdle: () => boolean,
    into: Signal<Asked<unknown>>,
    options: readonly string[] | null,
    act: () => Promise<void>,
  ): void {
    let timer: ReturnType<typeof setTimeout> | undefined, last: string | null = null;
    effect(() => {
      const all: Wire = this.#form.values.value, given = options ? options.map((name) => all[name]) : all;
      const state = JSON.stringify([this.#taken.value, given]), former = into.peek();
      if (!isIdle()) {
        clearTimeout(timer);
        this.#asking.get(into)?.abort();
        if (former.waiting || former.value === null) last = null;
        return;
      }
      if (state === last) return;
      const pauseMs = last === null ? 0 : SETTLED_MS;
      last = state;
      clearTimeout(timer);
      this.#asking.get(into)?.abort();
      into.value = { ...former, waiting: true };
      timer = setTimeout(() => void act(), pauseMs);
    });
  }

  async #ask<Q extends Question>(
    into: Signal<Asked<Questions[Q]["answer"]>>,
    question: Q,
    input: Questions[Q]["input"],
    soFar: (note: NoteOf<Q>) => Questions[Q]["answer"] | null = () => null,
  ): Promise<void> {
    let shown = into.value = { ...into.value, problem: null, waiting: true };
    const controller = new AbortController(), { signal } = controller;
    this.#asking.set(into as Signal<Asked<unknown>>, controller);
    // a later question has taken the place of this one, or will
    const isStale = () => into.value !== shown || signal.aborted;
    const onNote = (note: NoteOf<Q>) => {
      if (isStale()) return;
      const value = soFar(note);
      if (value !== null) shown = into.value = { value, problem: null, waiting: true };
    };
    const settle = (end: Partial<Asked<Questions[Q]["answer"]>>) => {
      if (isStale()) return;
      into.value = { value: null, problem: null, waiting: false, ...end };
    };
    try {
      settle({ value: await this.#engine.ask(question, input, { signal, onNote }) });
    } catch (error) {
      settle({ problem: asPlain(error) });
    }
  }
}

/** What went wrong, as the worker told it. */
export function asPlain(error: unknown): PlainError {
  return error instanceof RefusedError ? error.plain : plainError(error);
}

/** Resolves when no answer is waited for. */
function answered(asked: Signal<Asked<unknown>>): Promise<void> {
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (!asked.value.waiting) queueMicrotask(() => (stop(), resolve()));
    });
  });
}
