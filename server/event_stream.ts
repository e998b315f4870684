/**
 * A job's events as they come, as server-sent events.
 *
 * @module
 */
import type { EventStore, JobEvent } from "./event_store.ts";
import { eventToWire } from "./job_wire.ts";
import { serverSentEvents } from "./server_sent_events.ts";

/** What a stream tells, and how often it does if there is nothing to tell. */
export interface EventStreamOptions {
  readonly jobId: string;
  /** Number of the last event that the client has; 0 for none. */
  readonly after: number;
  readonly heartbeatMs: number;
  /** Whether no event comes after those that are there. */
  readonly isOver: () => boolean;
  /** Called once, when the stream has ended, whoever ended it. */
  readonly onEnd: () => void;
}

/** Events that are read at once. */
const BATCH = 100;

/** Batches that are kept for those who read them next. */
const MOST_KEPT = 64;

/**
 * Milliseconds from telling events to telling those after them, for so many who follow: what a quick run tells meanwhile goes
 * out as one piece to each. A piece costs about as much whatever is in it, so that many wait a little longer.
 */
const gatherMs = (followers: number) => 100 + followers;

/** Events on the wire. */
interface Batch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of the last one. */
  readonly last: number;
}

/** Who follows a job. */
interface Following {
  readonly wakes: Set<() => void>;
  /** When they were woken last, by `performance.now()`. */
  wokenAt: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  unlisten: () => void;
}

/** The events of all jobs as streams. What many follow is read and written out once. */
export class EventFeed {
  readonly #events: EventStore;
  readonly #kept = new Map<string, Batch>();
  readonly #followed = new Map<string, Following>();
  readonly #encoder = new TextEncoder();

  constructor(events: EventStore) {
    this.#events = events;
  }

  /**
   * All events after one, then those that follow. They are asked for when the client takes them: nothing is lost, and nothing
   * is kept for a slow one. Ends with an event `done` after the last event of a job that is over.
   */
  stream({ jobId, after, heartbeatMs, isOver, onEnd }: EventStreamOptions): ReadableStream<Uint8Array> {
    let seq = after;
    return serverSentEvents({
      heartbeatMs,
      onEnd,
      listen: (wake) => this.#listen(jobId, wake),
      next: () => {
        let batch = this.#batch(jobId, seq);
        if (!batch) {
          if (!isOver()) return null;
          batch = this.#batch(jobId, seq); // again: now nothing comes behind what is found
        }
        if (!batch) return { data: `event: done\nid: ${seq}\ndata: [DONE]\n\n`, isLast: true };
        seq = batch.last;
        return { data: batch.bytes, isLast: false };
      },
    });
  }

  /** Wakes after an event at once, and after those that follow soon together. @returns What ends that. */
  #listen(jobId: string, wake: () => void): () => void {
    const following = this.#followed.get(jobId) ?? this.#follow(jobId);
    following.wakes.add(wake);
    return () => {
      following.wakes.delete(wake);
      if (following.wakes.size > 0) return;
      following.unlisten();
      clearTimeout(following.timer);
      this.#followed.delete(jobId);
    };
  }

  #follow(jobId: string): Following {
    const following: Following = {
      wakes: new Set(),
      wokenAt: -Infinity,
      timer: undefined,
      unlisten: this.#events.listen(jobId, () => {
        const nextAt = following.wokenAt + gatherMs(following.wakes.size);
        following.timer ??= setTimeout(tell, Math.max(0, nextAt - performance.now()));
      }),
    };
    const tell = () => {
      following.timer = undefined;
      following.wokenAt = performance.now();
      for (const wake of following.wakes) wake();
    };
    this.#followed.set(jobId, following);
    return following;
  }

  /** Events after one; null for none. A batch holds for good, as events never change and more of them only follow. */
  #batch(jobId: string, after: number): Batch | null {
    const key = `${jobId} ${after}`, kept = this.#kept.get(key);
    if (kept) return kept;
    const found = this.#events.after(jobId, after, BATCH);
    if (found.length === 0) return null;
    const batch = { bytes: this.#encoder.encode(found.map(frame).join("")), last: found.at(-1)!.seq };
    this.#kept.set(key, batch);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return batch;
  }
}

/** One event. Its data is one line, as JSON has no raw line ends. */
function frame(event: JobEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(eventToWire(event))}\n\n`;
}
