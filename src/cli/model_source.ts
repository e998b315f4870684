/**
 * The base models that this command can reach: paths, buckets with the credentials of the environment, the cache, the Hub.
 *
 * @module
 */
import type { FindModel } from "../model_manager.ts";
import { ModelSource } from "../model_source.ts";
import type { Folder } from "../storage.ts";
import { LocalFolder } from "../storage/local.ts";
import type { OpenStorage } from "../storage_manager.ts";
import { openStorage } from "../storage/open.ts";
import { hubSnapshots } from "./hub.ts";
import type { Sink } from "./io.ts";
import { LiveLine } from "./live_line.ts";
import { openFolder } from "./open_folder.ts";
import { TransferLines } from "./transfer_line.ts";

/** Pause between two drawings of a live line, milliseconds. */
const PERIOD_MS = 200;

/** Finds models. Copies in the cache that it finds are held until the process ends. */
export function finderIn(open: OpenStorage = openStorage): FindModel {
  return new ModelSource({
    files: (path) => new LocalFolder(path),
    hub: hubSnapshots,
    storage: open,
  }).find;
}

/** The same with lines about downloads, unless `quiet`, and about what the user should know. */
export function showingFinder(stderr: Sink, find: FindModel, quiet = false): FindModel {
  return async (name, options = {}) => {
    const lines = new DownloadLine(stderr, quiet);
    try {
      return await find(name, {
        onProgress: (counts) => lines.show(counts),
        onNote: (note) => lines.note(note),
        ...options,
      });
    } finally {
      lines.close();
    }
  };
}

/** What finds models for a verb that opens folders so; nothing for folders that a test gave it. */
export function finderFor(
  files: (uri: string) => Folder,
  stderr: Sink,
  open: OpenStorage,
  quiet = false,
): { readonly findModel?: FindModel } {
  return files === openFolder ? { findModel: showingFinder(stderr, finderIn(open), quiet) } : {};
}

type Counts = Parameters<NonNullable<NonNullable<Parameters<FindModel>[1]>["onProgress"]>>[0];

/** One line that is drawn again on a terminal, and once at the end elsewhere. */
class DownloadLine {
  readonly #sink: Sink;
  readonly #quiet: boolean;
  readonly #line: LiveLine;
  readonly #lines = new TransferLines();
  #drawnAt = -Infinity;
  #isOver = false;

  constructor(sink: Sink, quiet: boolean) {
    this.#sink = sink;
    this.#line = new LiveLine((text) => sink.write(text));
    this.#quiet = quiet;
  }

  show({ files, totalFiles, bytes, totalBytes }: Counts): void {
    const isLast = files === totalFiles, now = performance.now();
    if (this.#quiet || this.#isOver || (!isLast && now - this.#drawnAt < PERIOD_MS)) return;
    this.#drawnAt = now;
    const counts = { files, totalFiles, bytes, totalBytes };
    const { text, isOver } = this.#lines.line({
      type: "transfer",
      direction: "download",
      what: "the base model",
      ...counts,
    });
    this.#isOver = isOver;
    if (isOver) return this.#line.line(text);
    if (!this.#sink.isTerminal) return;
    this.#line.redraw(text.slice(0, this.#sink.columns - 1));
  }

  note(text: string): void {
    this.#line.line(`warning: ${text}`);
  }

  /** Ends a line that was left open. */
  close(): void {
    this.#line.close();
  }
}
