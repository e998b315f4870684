/**
 * What the page knows of the form's model and data, and of the run that they would make: asked of the worker anew
 * whenever an option that matters changes.
 *
 * @module
 */
import { effect, signal } from "@preact/signals";
import { type Engine, RefusedError } from "./engine.ts";
import type { JobForm } from "./job_form.ts";
import {
  type DataFacts,
  type JobPlan,
  type ModelFacts,
  type NamedContent,
  type PickedFiles,
  type PlainError,
  plainError,
  type Question,
  type Questions,
  type Wire,
} from "./protocol.ts";

/** How long an option must stand before the worker is asked, milliseconds. */
const SETTLED_MS = 300;

/** Options that change what data becomes. */
const DATA_OPTIONS = [
  "base_model",
  "training_data_path",
  "eval_data_path",
  "data_format",
  "column_mapping",
  "train_on",
  "max_length",
  "train_test_split",
  "allow_special_tokens",
  "seed",
];

/** An answer of the worker, why there is none, or neither while it is waited for. */
export interface Asked<T> {
  readonly value: T | null;
  readonly problem: PlainError | null;
  readonly waiting: boolean;
}

const NOTHING = { value: null, problem: null, waiting: false };

export class JobInputs {
  readonly model = signal<Asked<ModelFacts>>(NOTHING);
  readonly data = signal<Asked<DataFacts>>(NOTHING);
  readonly plan = signal<Asked<JobPlan>>(NOTHING);
  /** Paths of the models that can be chosen. */
  readonly models = signal<readonly string[]>([]);
  readonly #engine: Engine;
  readonly #form: JobForm;

  /** @param bundled Path of the page's own model. */
  constructor(engine: Engine, form: JobForm, readonly bundled: string) {
    this.#engine = engine;
    this.#form = form;
    this.models.value = [bundled];
  }

  /** Asks now, and again whenever the form changes, as long as `isIdle` says so. */
  follow(isIdle: () => boolean): void {
    void this.#listModels();
    this.#whenSettled(isIdle, ["base_model"], () => this.#ask(this.model, "modelFacts", this.#modelPath));
    this.#whenSettled(isIdle, DATA_OPTIONS, () => this.#ask(this.data, "dataFacts", this.#form.values.value));
    this.#whenSettled(isIdle, null, async () => {
      // bad data is told with the data; a plan could say no more
      if (this.#form.checked.value.config) await this.#ask(this.plan, "plan", this.#form.values.value);
      else this.plan.value = NOTHING;
    });
  }

  /** Takes picked files as the base model, kept on the device or for this visit. */
  async takeModel(picked: PickedFiles, keep: boolean): Promise<void> {
    await this.#ask(this.model, null, async () => {
      const uri = await this.#engine.ask(keep ? "keepModel" : "pickModel", picked);
      this.models.value = [...new Set([...this.models.value, uri])];
      this.#form.set({ base_model: uri });
      return await this.#engine.ask("modelFacts", uri);
    });
  }

  /** Takes a file or a text as the training data; what was held out of the former data no longer is. */
  async takeData(given: NamedContent): Promise<void> {
    await this.#ask(this.data, null, async () => {
      const path = await this.#engine.ask("keepData", given);
      this.#form.set({ training_data_path: path, eval_data_path: undefined, column_mapping: undefined });
      return await this.#engine.ask("dataFacts", this.#form.values.value);
    });
  }

  get #modelPath(): string {
    return String(this.#form.value("base_model"));
  }

  async #listModels(): Promise<void> {
    const kept = await this.#engine.ask("models", null).catch(() => []);
    this.models.value = [...new Set([...this.models.value, ...kept])];
  }

  /** Acts when options (null for all) have stood for a while, and once at first. */
  #whenSettled(isIdle: () => boolean, options: readonly string[] | null, act: () => Promise<void>): void {
    let timer: ReturnType<typeof setTimeout> | undefined, last: string | null = null;
    effect(() => {
      const all: Wire = this.#form.values.value;
      const state = JSON.stringify(options ? options.map((name) => all[name]) : all), idle = isIdle();
      if (!idle || state === last) return;
      clearTimeout(timer);
      timer = setTimeout(() => {
        last = state;
        void act();
      }, last === null ? 0 : SETTLED_MS);
    });
  }

  async #ask<Q extends Question>(
    into: { value: Asked<Questions[Q]["answer"]> },
    question: Q | null,
    input: Questions[Q]["input"] | (() => Promise<Questions[Q]["answer"]>),
  ): Promise<void> {
    const asked = into.value = { ...into.value, problem: null, waiting: true };
    const settle = (end: Partial<Asked<Questions[Q]["answer"]>>) => {
      // a later question has taken the place of this one
      if (into.value === asked) into.value = { value: null, problem: null, waiting: false, ...end };
    };
    try {
      const value = question === null
        ? await (input as () => Promise<Questions[Q]["answer"]>)()
        : await this.#engine.ask(question, input as Questions[Q]["input"]);
      settle({ value });
    } catch (error) {
      settle({ problem: error instanceof RefusedError ? error.plain : plainError(error) });
    }
  }
}
