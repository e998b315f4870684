/**
 * Copying what the user gave into the store, a piece at a time.
 *
 * @module
 */
import type { Folder } from "../src/storage.ts";

/** Appears under its name once it is whole. @throws {StorageDeniedError} If there is no room for it. */
export async function copyTo(folder: Folder, name: string, content: Blob): Promise<void> {
  const writer = await folder.create(name);
  try {
    const reader = content.stream().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      await writer.write(read.value);
    }
    await writer.commit();
  } finally {
    await writer.abort();
  }
}
