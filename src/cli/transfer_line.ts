/**
 * Files on their way to or from a bucket, as a line: how far, how fast, how long still.
 *
 * @module
 */
import type { TransferEvent } from "../transfer_events.ts";
import { formatBytes, formatCount, formatDuration } from "./format.ts";

/** Words for what goes on and for what is over. */
const WORDS = {
  download: { now: "downloading", over: "downloaded" },
  upload: { now: "uploading", over: "uploaded" },
} as const;

/** Lines of one transfer after the other. Rates are counted from the first event of each. */
export class TransferLines {
  readonly #now: () => number;
  #started: { readonly key: string; readonly at: number; readonly bytes: number } | null = null;

  /** @param now Milliseconds on a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The line for an event, and whether the transfer is over with it. */
  line(event: TransferEvent): { readonly text: string; readonly isOver: boolean } {
    const { direction, what, files, totalFiles, bytes, totalBytes } = event;
    const words = WORDS[direction], key = `${direction} ${what}`, at = this.#now();
    if (this.#started?.key !== key) this.#started = { key, at, bytes: files === totalFiles ? 0 : bytes };
    const seconds = (at - this.#started.at) / 1000;
    const rate = seconds > 0 ? (bytes - this.#started.bytes) / seconds : 0;
    const perSecond = rate > 0 ? `${formatBytes(rate)}/s` : "--";
    if (files === totalFiles) {
      this.#started = null;
      const took = rate > 0 ? ` in ${formatDuration(seconds)} (${perSecond})` : "";
      return {
        text: `${words.over} ${what}: ${counted(totalFiles)}, ${formatBytes(totalBytes)}${took}`,
        isOver: true,
      };
    }
    const share = totalBytes > 0 ? Math.floor((100 * bytes) / totalBytes) : 0;
    const parts = [
      `${words.now} ${what}`,
      `${formatCount(files)} of ${counted(totalFiles)}`,
      `${formatBytes(bytes)} of ${formatBytes(totalBytes)} ${share}%`,
      perSecond,
      `ETA ${formatDuration(rate > 0 ? (totalBytes - bytes) / rate : NaN)}`,
    ];
    return { text: parts.join(" | "), isOver: false };
  }
}

function counted(files: number): string {
  return files === 1 ? "1 file" : `${formatCount(files)} files`;
}
