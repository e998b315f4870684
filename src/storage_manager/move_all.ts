/**
 * Moving many files: several at the same time, with one count of progress; the first failure stops the others.
 *
 * @module
 */
import type { FolderTransferOptions, TransferSummary } from "../storage_manager.ts";

/** A file to move. */
export interface FileToMove {
  readonly name: string;
  readonly size: number;
}

const DEFAULT_CONCURRENCY = 4;

/**
 * Moves files side by side.
 *
 * @param move Moves one file and tells of its bytes; false if it was left alone.
 * @throws What `move` threw first, after the others have stopped.
 */
export async function moveAll<File extends FileToMove>(
  files: readonly File[],
  { concurrency = DEFAULT_CONCURRENCY, signal, onProgress }: FolderTransferOptions,
  move: (file: File, moved: (bytes: number) => void, signal: AbortSignal) => Promise<boolean>,
): Promise<TransferSummary> {
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new RangeError(
      `Cannot move files with concurrency ${concurrency}: it must be a whole number from 1 on`,
    );
  }
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  let next = 0, done = 0, bytes = 0, skipped = 0;
  const tell = (name: string, more: number) => {
    bytes += more;
    onProgress?.({ name, files: done, totalFiles: files.length, bytes, totalBytes });
  };
  const worker = async () => {
    while (next < files.length && !either.aborted) {
      const file = files[next++]!;
      let own = 0;
      const wasMoved = await move(file, (more) => {
        own += more;
        tell(file.name, more);
      }, either);
      if (!wasMoved) skipped++;
      done++;
      tell(file.name, file.size - own);
    }
  };
  const workers = Array.from({ length: Math.min(concurrency, files.length) }, async () => {
    try {
      await worker();
    } catch (error) {
      if (!failed.signal.aborted) failed.abort(error);
      throw error;
    }
  });
  await Promise.allSettled(workers);
  either.throwIfAborted();
  return { files: files.length - skipped, bytes: totalBytes, skipped };
}

/** Turns counts of all bytes so far into counts of those that moved since. */
export function counted(moved: (bytes: number) => void): (progress: { readonly bytes: number }) => void {
  let before = 0;
  return ({ bytes }) => {
    moved(bytes - before);
    before = bytes;
  };
}
