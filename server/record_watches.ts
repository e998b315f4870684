/**
 * Job records as they change, for any number of clients: a job is watched once, however many look on.
 *
 * @module
 */
import { FINAL_STATUSES, type JobRecord, type WatchableJobRecords } from "../src/job_tracker.ts";
import { serverSentEvents } from "./server_sent_events.ts";

/** Who looks on. */
type Listener = () => void;

interface Watch {
  /** Undefined until the store has told. */
  record: JobRecord | null | undefined;
  hasFailed: boolean;
  readonly listeners: Set<Listener>;
  stop: () => void;
}

/** The watched jobs of a store. */
export class RecordWatches {
  readonly #store: WatchableJobRecords;
  readonly #watches = new Map<string, Watch>();

  constructor(store: WatchableJobRecords) {
    this.#store = store;
  }

  /**
   * A job's record as server-sent events: as it is, then after each change. A slow client gets the latest state only. Ends
   * with an event `done` behind a final state, and with `error` where the store does not answer.
   *
   * @param toWire The record as clients see it.
   * @param onEnd Called once, when the stream has ended, whoever ended it.
   */
  stream(
    jobId: string,
    { heartbeatMs, toWire, onEnd }: {
      readonly heartbeatMs: number;
      readonly toWire: (record: JobRecord) => unknown;
      readonly onEnd: () => void;
    },
  ): ReadableStream<Uint8Array> {
    let watch: Watch, told: JobRecord | null = null;
    return serverSentEvents({
      heartbeatMs,
      onEnd,
      listen: (wake) => {
        watch = this.#listen(jobId, wake);
        return () => this.#unlisten(jobId, watch, wake);
      },
      next() {
        const { record, hasFailed } = watch;
        if (record && record !== told) {
          told = record;
          const data = JSON.stringify(toWire(record));
          return { data: `id: ${record.updatedAt}\nevent: record\ndata: ${data}\n\n`, isLast: false };
        }
        if (record && FINAL_STATUSES.includes(record.status)) {
          return { data: "event: done\ndata: [DONE]\n\n", isLast: true };
        }
        return hasFailed ? { data: "event: error\ndata: the store does not answer\n\n", isLast: true } : null;
      },
    });
  }

  #listen(jobId: string, listener: Listener): Watch {
    const there = this.#watches.get(jobId);
    if (there && !there.hasFailed) {
      there.listeners.add(listener);
      return there;
    }
    const watch: Watch = {
      record: undefined,
      hasFailed: false,
      listeners: new Set([listener]),
      stop: () => {},
    };
    const tell = () => {
      for (const each of watch.listeners) each();
    };
    this.#watches.set(jobId, watch);
    watch.stop = this.#store.watch(jobId, {
      changed(record) {
        watch.record = record;
        tell();
      },
      failed() {
        watch.hasFailed = true;
        tell();
      },
    });
    return watch;
  }

  #unlisten(jobId: string, watch: Watch, listener: Listener): void {
    watch.listeners.delete(listener);
    if (watch.listeners.size > 0) return;
    if (this.#watches.get(jobId) === watch) this.#watches.delete(jobId);
    watch.stop();
  }
}
