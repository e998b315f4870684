/**
 * Files that tell how far they are read, and stop being read where nobody wants them any more.
 *
 * @module
 */
import type { FileReader, ReadableFolder } from "../../src/storage.ts";
import type { ByteProgress } from "../protocol/job.ts";

/** Who reads. */
export interface Watch {
  /** Its reason ends the next read. */
  readonly signal: AbortSignal;
  /** Told at every hundredth of a file. */
  readonly onProgress: (progress: ByteProgress) => void;
}

/** The same folder, watched. */
export function watchedFolder(folder: ReadableFolder, watch: Watch): ReadableFolder {
  return {
    uri: folder.uri,
    list: () => folder.list(),
    exists: (name) => folder.exists(name),
    open: async (name) => watchedFile(await folder.open(name), watch),
  };
}

function watchedFile(file: FileReader, { signal, onProgress }: Watch): FileReader {
  let told = 0;
  return {
    uri: file.uri,
    size: file.size,
    ...(file.version === undefined ? {} : { version: file.version }),
    close: () => file.close(),
    async read(offset, length) {
      signal.throwIfAborted();
      const bytes = await file.read(offset, length), end = offset + length;
      if (end - told >= file.size / 100) onProgress({ bytes: told = end, totalBytes: file.size });
      return bytes;
    },
  };
}
