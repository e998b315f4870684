/**
 * One line about a file that is being written: renewed in a terminal, not there elsewhere.
 *
 * @module
 */
import { formatBytes } from "./format.ts";
import type { Sink } from "./io.ts";
import { CLEAR_LINE } from "./live_line.ts";

const RENEW_MS = 200;

export class ExportProgress {
  readonly #what: string;
  readonly #sink: Sink | null;
  #shownAt = -Infinity;

  /** `sink` is null where nothing is to be shown. */
  constructor(what: string, sink: Sink | null) {
    this.#what = what;
    this.#sink = sink?.isTerminal ? sink : null;
  }

  show({ bytes, totalBytes }: { readonly bytes: number; readonly totalBytes: number }): void {
    const now = performance.now();
    if (!this.#sink || now - this.#shownAt < RENEW_MS) return;
    this.#shownAt = now;
    const share = `${Math.floor(100 * bytes / totalBytes)} %`;
    const line = `${this.#what}  ${share.padStart(5)}  ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`;
    this.#sink.write(CLEAR_LINE + line.slice(0, this.#sink.columns - 1));
  }

  /** Takes the line away. */
  close(): void {
    if (this.#shownAt > -Infinity) this.#sink?.write(CLEAR_LINE);
  }
}
