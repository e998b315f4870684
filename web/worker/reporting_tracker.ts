/**
 * Telling the page's server how a run of this tab goes.
 *
 * @module
 */
import type { JobMetadata, JobUpdate, TrackerReport } from "../../src/job_tracker.ts";
import { QueuedTracker, type QueuedTrackerOptions } from "../../src/job_tracker/queued.ts";
import { LowrankServer, type ServerAccess, ServerError } from "../lowrank_server.ts";

/** How long a server that could not be told how a run ended is told again, and how often, milliseconds. */
const PATIENCE_MS = 30 * 60_000, PAUSE_MS = 5000;

/** How long, and how patiently. */
export interface ReportingOptions extends QueuedTrackerOptions {
  /** Between two tries to tell the end. Default 5000. */
  readonly endPauseMs?: number;
  readonly warn: (message: string) => void;
}

/** As {@link QueuedTracker}; an end that did not arrive is told again after the run, as long as the tab is open. */
export class ReportingTracker extends QueuedTracker {
  readonly #server: LowrankServer;
  readonly #jobId: string;
  readonly #options: ReportingOptions;
  /** All facts about the run. */
  #metadata: JobMetadata = {};
  #end: Omit<JobUpdate, "metadata"> | null = null;

  /** @param options Its `warn` is told what the server did not take, and when it has after all. */
  constructor(access: ServerAccess, jobId: string, options: ReportingOptions) {
    const server = new LowrankServer(access);
    super(server, jobId, options);
    this.#server = server;
    this.#jobId = jobId;
    this.#options = options;
  }

  override markRunning(metadata: JobMetadata = {}): void {
    this.#metadata = { ...this.#metadata, ...metadata };
    super.markRunning(metadata);
  }

  override markCompleted(metadata: JobMetadata = {}): void {
    this.#metadata = { ...this.#metadata, ...metadata };
    this.#end = { at: Date.now(), status: "completed", progress: 1, error: null };
    super.markCompleted(metadata);
  }

  override markFailed(error: string, metadata?: JobMetadata): void {
    this.#end = { at: Date.now(), status: "failed", error };
    super.markFailed(error, metadata);
  }

  override markCancelled(metadata?: JobMetadata): void {
    this.#end = { at: Date.now(), status: "cancelled" };
    super.markCancelled(metadata);
  }

  override async close(): Promise<TrackerReport> {
    const report = await super.close();
    if (report.dropped > 0 && this.#end) void this.#tellLater({ ...this.#end, metadata: this.#metadata });
    return report;
  }

  async #tellLater(update: JobUpdate): Promise<void> {
    const { warn, endPauseMs = PAUSE_MS } = this.#options, until = performance.now() + PATIENCE_MS;
    while (performance.now() < until) {
      await new Promise((wake) => setTimeout(wake, endPauseMs));
      try {
        await this.#server.write(this.#jobId, update);
        return warn(`job ${this.#jobId}: the server has been told now how the run ended`);
      } catch (error) {
        // what is refused will be refused again
        const { status } = error as ServerError;
        if (!(error instanceof ServerError) || (status >= 400 && status < 500 && status !== 429)) return;
      }
    }
  }
}
