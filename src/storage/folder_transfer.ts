/**
 * Moving many files: several at the same time, with one count of progress; the first failure stops the others.
 *
 * @module
 */
import type { Folder } from "../storage.ts";
import type { FolderTransferOptions, TransferSummary } from "../storage_manager.ts";

/** A file to move. */
export interface FileToMove {
  readonly name: string;
  readonly size: number;
}

/** A file of a local folder, by its path from there. */
export interface FoundFile extends FileToMove {
  readonly folder: Folder;
  /** Its name within `folder`. */
  readonly file: string;
}

const DEFAULT_CONCURRENCY = 4;
/** Files whose sizes are asked for at the same time. */
const LOOKED_AT_ONCE = 16;

/** Every file of a folder and those below it, in the order of their paths. */
export async function filesBelow(folder: Folder, path = ""): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const files = await folder.list();
  for (let at = 0; at < files.length; at += LOOKED_AT_ONCE) {
    const some = files.slice(at, at + LOOKED_AT_ONCE);
    const sizes = await Promise.all(some.map((file) => sizeOf(folder, file)));
    found.push(...some.map((file, i) => ({ name: path + file, size: sizes[i]!, folder, file })));
  }
  for (const name of await folder.folders()) {
    found.push(...await filesBelow(folder.folder(name), `${path}${name}/`));
  }
  return found;
}

async function sizeOf(folder: Folder, file: string): Promise<number> {
  const reader = await folder.open(file);
  await reader.close();
  return reader.size;
}

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
