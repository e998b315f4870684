/**
 * Copies of a run's checkpoints where its results will go, so that another machine can go on where this one was lost:
 *
 *     checkpoints/checkpoint-{step}/    as in the output folder; resume.json comes last, so that it tells of a whole one
 *     checkpoints/metrics.jsonl ...     the run's course up to then
 *
 * Training waits for none of it: one copy is made after the other, and what fails is told and tried with the next one.
 *
 * @module
 */
import { checkpointName, latestCheckpoint, listCheckpoints } from "../checkpoint/resume.ts";
import { RESUME_FILE } from "../checkpoint/resume_record.ts";
import type { TrainingEvent } from "../job.ts";
import { logger } from "../logger.ts";
import { isCourse } from "../output_folder.ts";
import type { Folder } from "../storage.ts";
import type { StorageManager } from "../storage_manager.ts";
import { transferEvents } from "../transfer_events.ts";

/** Below the folder of the results. */
export const MIRROR_FOLDER = "checkpoints";
/** How long a run that was stopped waits for a copy on its way, milliseconds: clusters kill after half a minute. */
const GRACE_MS = 20_000;

/** Where copies go. */
export interface MirrorPlace {
  readonly storage: StorageManager;
  /** Name of the folder in the bucket, with a slash at the end. */
  readonly prefix: string;
  /** Of the folder, for messages. */
  readonly uri: string;
}

/** Keeps the copies as the checkpoints of the output folder are. */
export class CheckpointMirror {
  readonly #place: MirrorPlace;
  readonly #output: Folder;
  readonly #graceMs: number;
  readonly #stopped = new AbortController();
  readonly #news: TrainingEvent[] = [];
  /** Copied by this process, whole. */
  readonly #copied = new Set<number>();
  /** The copying under way. */
  #work: Promise<void> | null = null;
  #isBehind = false;
  #step: number | null = null;
  #lastProblem: string | null = null;

  /** Does nothing yet. */
  constructor(place: MirrorPlace, output: Folder, graceMs: number = GRACE_MS) {
    this.#place = place;
    this.#output = output;
    this.#graceMs = graceMs;
  }

  /** The checkpoint that is being copied, which must stay until then; null for none. */
  get step(): number | null {
    return this.#step;
  }

  /** Begins to copy what is new, and to remove what is gone here; returns at once. */
  push(): void {
    this.#isBehind = true;
    this.#work ??= this.#catchUp().finally(() => this.#work = null);
  }

  /** What went wrong since the last call. */
  news(): TrainingEvent[] {
    return this.#news.splice(0);
  }

  /** Ends what is under way. No other copy begins. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#work;
  }

  /** Waits a while for what is under way, then ends it: a run that stops leaves its last checkpoint. */
  async *settle(): AsyncGenerator<TrainingEvent> {
    const work = this.#work;
    if (work) {
      yield { type: "phase", message: `copying the last checkpoint to ${this.#place.uri}` };
      const timer = setTimeout(() => this.#stopped.abort(), this.#graceMs);
      await work;
      clearTimeout(timer);
    }
    await this.stop();
    yield* this.news();
  }

  /**
   * Brings the copies here where they are of later steps than all that the output folder has.
   *
   * @throws What the bucket throws.
   */
  async *restore(signal: AbortSignal): AsyncGenerator<TrainingEvent> {
    const { storage, prefix } = this.#place;
    const found = (await this.#mirrored(signal)).filter(({ isWhole }) => isWhole).map(({ step }) => step);
    const { checkpoint } = await latestCheckpoint(this.#output);
    if (found.length === 0 || (checkpoint?.record.step ?? -1) >= found.at(-1)!) return;
    yield { type: "phase", stage: "download", message: `going on from the copies in ${this.#place.uri}` };
    const download = (what: string, from: string, to: Folder, include: (path: string) => boolean) =>
      transferEvents(
        { direction: "download", what, signal },
        (onProgress, either) => storage.downloadFolder(from, to, { include, onProgress, signal: either }),
      );
    const isOfRun = (path: string) => !path.startsWith("checkpoint-");
    yield* download("the run's course", prefix, this.#output, isOfRun);
    // the latest comes last: as long as it is missing, the copies are brought again
    for (const step of found) {
      const name = checkpointName(step), writer = await this.#output.createFolder(name);
      try {
        yield* download(`the checkpoint of step ${step}`, `${prefix}${name}`, writer.folder, () => true);
        await writer.commit();
      } finally {
        await writer.abort();
      }
    }
  }

  async #catchUp(): Promise<void> {
    while (this.#isBehind && !this.#stopped.signal.aborted) {
      this.#isBehind = false;
      try {
        await this.#copy();
        this.#lastProblem = null;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        this.#tell((error as Error).message);
      } finally {
        this.#step = null;
      }
    }
  }

  /** The newest checkpoint first: those before it are of use where it is damaged, or the best. */
  async #copy(): Promise<void> {
    const { storage, prefix } = this.#place, signal = this.#stopped.signal;
    const steps = await listCheckpoints(this.#output);
    const missing = steps.filter((step) => !this.#copied.has(step)).reverse();
    if (missing.length > 0) {
      await storage.uploadFolder(this.#output, prefix, { include: isCourse, skipSame: true, signal });
    }
    for (const step of missing) {
      if (this.#isBehind && step !== missing[0]) break; // a newer one has come
      const name = checkpointName(step), from = this.#output.folder(name), to = `${prefix}${name}`;
      this.#step = step;
      if (!await from.exists(RESUME_FILE)) continue; // removed meanwhile
      const include = (path: string) => path !== RESUME_FILE;
      await storage.uploadFolder(from, to, { include, skipSame: true, signal });
      await storage.uploadFile(from, RESUME_FILE, `${to}/${RESUME_FILE}`, { signal });
      this.#copied.add(step);
      logger("job").info("the checkpoint of step {step} is in {uri}", { step, uri: this.#place.uri });
    }
    const own = new Set(steps);
    for (const { step, files } of await this.#mirrored(signal)) {
      if (own.has(step)) continue;
      this.#copied.delete(step);
      // what is removed in part must not look whole
      for (
        const name of files.toSorted((a, b) =>
          Number(b.endsWith(RESUME_FILE)) - Number(a.endsWith(RESUME_FILE))
        )
      ) {
        await storage.remove(name, null, signal);
      }
    }
  }

  /** The copies that there are, by step, ascending. */
  async #mirrored(signal: AbortSignal): Promise<{ step: number; isWhole: boolean; files: string[] }[]> {
    const { storage, prefix } = this.#place, found = new Map<number, string[]>();
    for await (const { name } of storage.list(`${prefix}checkpoint-`, signal)) {
      const [, step] = /^checkpoint-(\d+)\//.exec(name.slice(prefix.length)) ?? [];
      if (step !== undefined) found.set(Number(step), [...found.get(Number(step)) ?? [], name]);
    }
    return [...found].sort(([a], [b]) => a - b).map(([step, files]) => {
      return { step, files, isWhole: files.includes(`${prefix}${checkpointName(step)}/${RESUME_FILE}`) };
    });
  }

  #tell(problem: string): void {
    if (problem === this.#lastProblem) return;
    this.#lastProblem = problem;
    const message = `${problem}; training goes on, and the next checkpoint is copied again`;
    this.#news.push({ type: "warning", message });
  }
}
