/**
 * Standard streams, environment, files and signals of a Deno process.
 *
 * @module
 */

import { launchedRank } from "../distributed/launched.ts";
import { exitCodeOf, InterruptedError } from "./exit_codes.ts";
import type { CliIo, Sink, Source } from "./io.ts";

type Stream = typeof Deno.stdout;

/** Stops the work under way because nobody reads what it writes; null where none is. */
let stopUnread: (() => void) | null = null;

function isOneOfSeveral(): boolean {
  return launchedRank(Deno.env.toObject()).size > 1;
}

/** @param onUnread Called once, when the reader has gone, as `head` does; what is written after that is dropped. */
function sink(stream: Stream, onUnread: () => void): Sink {
  const encoder = new TextEncoder();
  // mpirun gives each rank a terminal of its own, wherever its own output goes
  const isTerminal = stream.isTerminal() && !isOneOfSeveral();
  let isRead = true;
  return {
    isTerminal,
    get columns() {
      // Some terminals say 0 for a width that they do not know.
      return (isTerminal && Deno.consoleSize().columns) || 100;
    },
    write(text) {
      if (!isRead) return;
      let bytes = encoder.encode(text);
      try {
        while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
      } catch (error) {
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
        isRead = false;
        onUnread();
      }
    },
  };
}

/** Standard input, read as it is asked for: nothing waits on it while a job runs. */
function source(): Source {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(1 << 16);
  let pending = "", ended = false;
  const readMore = async () => {
    const count = await Deno.stdin.read(chunk);
    ended = count === null;
    pending += count === null ? decoder.decode() : decoder.decode(chunk.subarray(0, count), { stream: true });
  };
  const take = (end: number, separator: number) => {
    const taken = pending.slice(0, end);
    pending = pending.slice(end + separator);
    return taken;
  };
  return {
    isTerminal: Deno.stdin.isTerminal(),
    async text() {
      while (!ended) await readMore();
      return take(pending.length, 0);
    },
    async line() {
      while (!ended && !pending.includes("\n")) await readMore();
      const end = pending.indexOf("\n");
      if (end >= 0) return take(end, 1).replace(/\r$/, "");
      return pending === "" ? null : take(pending.length, 0);
    },
  };
}

/**
 * Ends as a process that SIGPIPE ends, but work in an orderly way: it keeps its checkpoint, and a process that exits while
 * another of its threads computes on a GPU may hang in the driver.
 */
function endUnread(): void {
  if (stopUnread) stopUnread();
  else Deno.exit(141);
}

/**
 * Signals that ask this process for an orderly stop. Of several ranks `mpirun` ends those that are left by SIGTERM a second before
 * SIGKILL, when another is gone and nothing can be saved any more; SIGUSR2 it hands on (SIGUSR1, too, but that has Deno
 * open a port for a debugger).
 */
export function stopSignals(): readonly ("SIGINT" | "SIGTERM" | "SIGUSR2")[] {
  if (Deno.build.os === "windows") return ["SIGINT"];
  return isOneOfSeveral() ? ["SIGUSR2"] : ["SIGINT", "SIGTERM", "SIGUSR2"];
}

/** The first signal asks for an orderly stop, the second ends the process. */
async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const listeners = stopSignals().map((name) => {
    const listener = () => {
      const interrupted = new InterruptedError(name);
      if (controller.signal.aborted) Deno.exit(exitCodeOf(interrupted));
      controller.abort(interrupted);
    };
    Deno.addSignalListener(name, listener);
    return () => Deno.removeSignalListener(name, listener);
  });
  stopUnread = () => controller.abort(new InterruptedError("SIGPIPE"));
  try {
    return await work(controller.signal);
  } finally {
    stopUnread = null;
    for (const remove of listeners) remove();
  }
}

/** The outside of a command as this process sees it, but for jobs and models. */
export function denoIo(): Omit<CliIo, "createJob" | "openModel"> {
  return {
    stdin: source(),
    stdout: sink(Deno.stdout, endUnread),
    stderr: sink(Deno.stderr, () => {}),
    env: Deno.env.toObject(),
    readTextFile: (path) => Deno.readTextFile(path),
    untilInterrupted,
  };
}
