/**
 * Files on the way to or from a bucket, told as events of the run.
 *
 * @module
 */
import type { TrainingEvent } from "./job.ts";

/** How far files have come. */
export type TransferEvent = Extract<TrainingEvent, { type: "transfer" }>;
/** Counts of a transfer: what a `TransferProgress` of storage says. */
type Counts = Pick<TransferEvent, "files" | "totalFiles" | "bytes" | "totalBytes">;

/** Pause between two events of a transfer, milliseconds. */
const PERIOD_MS = 200;

/** What is moved, and what stops it. */
export interface ToldTransfer {
  readonly direction: TransferEvent["direction"];
  /** What moves, in a few words for people, such as `the training data`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Moves files and tells of it five times a second at most. The last event has `files` equal to `totalFiles`, and no other
 * one has; where nothing was told of, there is none. When whoever consumes the events stops, so does the move.
 *
 * @param move Does the work, with the signal that it must obey.
 * @returns What `move` gave.
 * @throws What `move` throws.
 */
export async function* transferEvents<T>(
  { direction, what, signal }: ToldTransfer,
  move: (onProgress: (counts: Counts) => void, signal: AbortSignal) => Promise<T>,
): AsyncGenerator<TransferEvent, T> {
  const left = new AbortController();
  let latest: Counts | null = null, told: Counts | null = null;
  const either = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  const event = ({ files, totalFiles, bytes, totalBytes }: Counts): TransferEvent => {
    return { type: "transfer", direction, what, files, totalFiles, bytes, totalBytes };
  };
  const moved = move((counts) => latest = counts, either).then(
    (value) => ({ isDone: true, value }) as const,
    (error) => ({ isDone: true, error }) as const,
  );
  try {
    while (true) {
      const pause = waiting(PERIOD_MS);
      const outcome = await Promise.race([moved, pause.over]);
      pause.end();
      const now = latest as Counts | null;
      if (!outcome) {
        if (now && now !== told && now.files < now.totalFiles) yield event(told = now);
        continue;
      }
      if ("error" in outcome) throw outcome.error;
      if (now) yield event({ ...now, files: now.totalFiles, bytes: now.totalBytes });
      return outcome.value;
    }
  } finally {
    left.abort();
    await moved;
  }
}

function waiting(ms: number): { readonly over: Promise<null>; end(): void } {
  let timer: ReturnType<typeof setTimeout>;
  const over = new Promise<null>((done) => timer = setTimeout(() => done(null), ms));
  return { over, end: () => clearTimeout(timer) };
}
