/**
 * The models in buckets of the page's server as the page knows them: listed, one of them looked at, one of them on its way here.
 *
 * @module
 */
import { signal } from "@preact/signals";
import { byteSize, clock, percent } from "../figures.ts";
import type { ServerAccess } from "../lowrank_server.ts";
import type { BucketCatalog, BucketModelFacts, DownloadProgress, KeptModel } from "../protocol/models.ts";
import type { PlainError } from "../protocol/plain_error.ts";
import { type Asked, asPlain, type JobInputs, NOTHING } from "./job_inputs.ts";
import { keepStorage } from "./keep_storage.ts";
import type { PageSession } from "./session.ts";
import { TransferRate } from "./transfer_rate.ts";

/** Screen readers are told how far a download is no more often, ms. */
const TOLD_MS = 10_000;

/** A model that is on its way. */
export interface Download {
  readonly path: string;
  readonly name: string;
  /** Null until the server has answered. */
  readonly progress: DownloadProgress | null;
  readonly bytesPerSecond: number | null;
  readonly secondsLeft: number | null;
}

/** How a model of a bucket stands on this device. */
export type Standing = "absent" | "begun" | "here" | "changed";

export class BucketShelf {
  readonly catalog = signal<Asked<BucketCatalog>>(NOTHING);
  /** Path of the model that is looked at. */
  readonly chosen = signal<string | null>(null);
  readonly look = signal<Asked<BucketModelFacts>>(NOTHING);
  readonly download = signal<Download | null>(null);
  /** Why the last download ended before its end. */
  readonly problem = signal<PlainError | null>(null);
  /** Path of the model that came last; null for none. */
  readonly arrived = signal<string | null>(null);
  /** How the download goes, in words that are not renewed all the time. */
  readonly told = signal("");
  readonly #session: PageSession;
  readonly #inputs: JobInputs;
  #looking = new AbortController();
  #stopper = new AbortController();

  constructor(session: PageSession, inputs: JobInputs) {
    this.#session = session;
    this.#inputs = inputs;
  }

  /** Asks what the buckets have. */
  async list(): Promise<void> {
    const { places } = this.#session.server!;
    this.catalog.value = { ...this.catalog.value, problem: null, waiting: true };
    try {
      const input = { server: this.#access, places: places.value };
      const value = await this.#session.engine.ask("bucketModels", input);
      this.catalog.value = { value, problem: null, waiting: false };
    } catch (error) {
      this.catalog.value = { value: null, problem: asPlain(error), waiting: false };
    }
  }

  /** Looks at a model, and plans the form's run with it unless a run takes the GPU; null for none. */
  async choose(path: string | null): Promise<void> {
    this.#looking.abort();
    const { signal } = this.#looking = new AbortController();
    const former = this.chosen.value === path ? this.look.value.value : null;
    this.chosen.value = path;
    if (path === null) return;
    this.look.value = { value: former, problem: null, waiting: true };
    const { form, busy, engine } = this.#session;
    const config = !busy.value && form.checked.value.config ? form.values.value : null;
    const settle = (end: Partial<Asked<BucketModelFacts>>) => {
      if (!signal.aborted) this.look.value = { ...NOTHING, ...end };
    };
    try {
      const input = { server: this.#access, path, config };
      settle({ value: await engine.ask("bucketModel", input, { signal }) });
    } catch (error) {
      settle({ problem: asPlain(error) });
    }
  }

  /** How a model stands on this device, and what there is of it. */
  standing(path: string, revision: string): { readonly state: Standing; readonly kept: KeptModel | null } {
    const kept = this.#inputs.kept.value.find(({ source }) => source?.path === path) ?? null;
    if (!kept) return { state: "absent", kept };
    if (kept.download) return { state: "begun", kept };
    return { state: kept.source!.revision === revision ? "here" : "changed", kept };
  }

  /** Copies a model onto the device, or goes on with that. */
  async start(path: string, name: string): Promise<void> {
    if (this.download.value) return;
    void keepStorage();
    const { signal } = this.#stopper = new AbortController();
    const rate = new TransferRate();
    let toldAt = performance.now();
    this.problem.value = this.arrived.value = null;
    this.told.value = `Downloading ${name}.`;
    this.download.value = { path, name, progress: null, bytesPerSecond: null, secondsLeft: null };
    const onNote = (progress: DownloadProgress) => {
      rate.tell(progress.received);
      const { bytes, totalBytes } = progress, { bytesPerSecond } = rate;
      const secondsLeft = rate.secondsFor(totalBytes - bytes);
      this.download.value = { path, name, progress, bytesPerSecond, secondsLeft };
      if (performance.now() - toldAt < TOLD_MS) return;
      toldAt = performance.now();
      this.told.value = `Downloading ${name}: ${percent(bytes / (totalBytes || 1))}.`;
    };
    try {
      const input = { server: this.#access, path };
      this.arrived.value = await this.#session.engine.ask("downloadModel", input, { signal, onNote });
      this.told.value = `${name} is on this device.`;
    } catch (error) {
      this.told.value = "";
      if (!signal.aborted) this.problem.value = asPlain(error);
    }
    this.download.value = null;
    await this.#inputs.lookAtKept();
  }

  /** Ends the download; what has come is kept. */
  cancel(): void {
    this.#stopper.abort();
  }

  get #access(): ServerAccess {
    return this.#session.server!.access;
  }
}

/** How a download goes: `120 MB of 270 MB, 12.4 MB/s, 00:12 left`. */
export function courseOf({ progress, bytesPerSecond, secondsLeft }: Download): string {
  if (!progress) return "asking the server";
  const { bytes, totalBytes, problem } = progress;
  const far = `${byteSize(bytes)} of ${byteSize(totalBytes)}`;
  if (problem) return `${far}; the connection broke, trying again`;
  return [
    far,
    ...(bytesPerSecond === null ? [] : [`${byteSize(bytesPerSecond)}/s`]),
    ...(secondsLeft === null ? [] : [`${clock(secondsLeft)} left`]),
  ].join(", ");
}
