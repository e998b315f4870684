/**
 * Job records as they change, for any number of clients: a job is watched once, however many look on.
 *
 * @module
 */
import { FINAL_STATUSES, type JobRecord, type WatchableJobRecords } from "../src/job_tracker.ts";

/** Who looks on. */
type Listener = () => void;

interface Watch {
  /** Undefined until the store has told. */
  record: JobRecord | null | undefined;
  hasFailed: boolean;
  readonly listeners: Set<Listener>;
  stop: () => void;
}

/** Milliseconds after which a client that lost the stream is to ask again. */
const RETRY_MS = 3000;

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
    const encoder = new TextEncoder();
    let told: JobRecord | null | undefined = null, wake: Listener = () => {}, isOpen = true, isFirst = true;
    const listener = () => wake();
    const watch = this.#listen(jobId, listener);
    const end = () => {
      if (!isOpen) return;
      isOpen = false;
      this.#unlisten(jobId, watch, listener);
      wake();
      onEnd();
    };
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        const tell = (text: string) => controller.enqueue(encoder.encode(text));
        if (isFirst) {
          isFirst = false;
          return tell(`retry: ${RETRY_MS}\n\n`);
        }
        while (isOpen) {
          const { record, hasFailed } = watch;
          if (record && record !== told) {
            told = record;
            return tell(
              `id: ${record.updatedAt}\nevent: record\ndata: ${JSON.stringify(toWire(record))}\n\n`,
            );
          }
          const isOver = record && FINAL_STATUSES.includes(record.status);
          if (hasFailed || isOver) {
            tell(
              isOver ? "event: done\ndata: [DONE]\n\n" : "event: error\ndata: the store does not answer\n\n",
            );
            controller.close();
            return end();
          }
          const isWoken = await woken(heartbeatMs, (listener) => wake = listener);
          if (!isWoken) return tell(": alive\n\n");
        }
      },
      cancel: end,
    }, { highWaterMark: 0 });
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

/** Waits to be woken, but no longer than so. @returns Whether it was. */
function woken(ms: number, wakeable: (wake: Listener) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  wakeable(() => {
    clearTimeout(timer);
    resolve(true);
  });
  return promise;
}
