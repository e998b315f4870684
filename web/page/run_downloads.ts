/**
 * Files that are made of a run for the user, one at a time.
 *
 * @module
 */
import { signal } from "@preact/signals";
import type { GgufModelType } from "../../src/export/gguf_model.ts";
import type { ByteProgress } from "../protocol/job.ts";
import { type PlainError, plainError } from "../protocol/plain_error.ts";
import type { ExportOrder } from "../protocol/runs.ts";
import { pickTarget, saveAs } from "./download.ts";
import { type Engine, RefusedError } from "./engine.ts";
import { metricsCsv } from "./metrics_csv.ts";

/** What is being made, and how far it is. */
export interface Making {
  readonly what: string;
  /** Null until the first piece. */
  readonly progress: ByteProgress | null;
}

export class RunDownloads {
  readonly making = signal<Making | null>(null);
  readonly problem = signal<PlainError | null>(null);
  /** The last file that was made, in words. */
  readonly made = signal("");
  readonly #engine: Engine;
  #stopper = new AbortController();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** The adapter as PEFT reads it, zipped. */
  adapter(run: string, checkpoint: number | null): Promise<void> {
    return this.#make("the adapter", { run, checkpoint, what: "adapter", ggufType: "F16" }, null);
  }

  /** Base and adapter merged, as transformers reads them, zipped. */
  merged(run: string, checkpoint: number | null): Promise<void> {
    const order = { run, checkpoint, what: "merged", ggufType: "F16" } as const;
    return this.#make("the merged model", order, `${run}-merged.zip`);
  }

  /** The same as one file for llama.cpp. */
  gguf(run: string, checkpoint: number | null, ggufType: GgufModelType): Promise<void> {
    const order = { run, checkpoint, what: "gguf", ggufType } as const;
    return this.#make("the GGUF file", order, `${run}-${ggufType.toLowerCase()}.gguf`);
  }

  /** Losses, rates and speed of each step. */
  metrics(run: string): Promise<void> {
    return this.#told(async () => {
      const { metrics } = await this.#engine.ask("openRun", run);
      saveAs(new Blob([metricsCsv(metrics)], { type: "text/csv" }), `${run}-metrics.csv`);
    });
  }

  /** A file as the run has it. */
  file(run: string, path: string): Promise<void> {
    return this.#told(async () => {
      saveAs(await this.#engine.ask("readFile", { run, path }), path.slice(path.lastIndexOf("/") + 1));
    });
  }

  /** Ends what is being made. */
  cancel(): void {
    this.#stopper.abort();
  }

  /** @param large Where a file of this kind may be large: what to call it where the browser asks for its place. */
  #make(what: string, order: Omit<ExportOrder, "target">, large: string | null): Promise<void> {
    return this.#told(async () => {
      const target = large === null ? null : await pickTarget(large);
      if (target === undefined) return;
      const { signal: cancelled } = this.#stopper = new AbortController();
      this.making.value = { what, progress: null };
      this.made.value = "";
      try {
        const { name, content } = await this.#engine.ask("exportRun", { ...order, target }, {
          signal: cancelled,
          onNote: (progress) => this.making.value = { what, progress },
        });
        if (content) saveAs(content, name);
        this.made.value = `${name} is ready.`;
      } catch (error) {
        if (!cancelled.aborted) throw error;
      } finally {
        this.making.value = null;
      }
    });
  }

  async #told(act: () => Promise<void>): Promise<void> {
    this.problem.value = null;
    try {
      await act();
    } catch (error) {
      this.problem.value = error instanceof RefusedError ? error.plain : plainError(error);
    }
  }
}
