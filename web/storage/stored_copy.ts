/**
 * Between the store and what the browser hands about: content copied into it a piece at a time, and files given out.
 *
 * @module
 */
import type { Folder, ReadableFolder } from "../../src/storage.ts";
import { OpfsReader } from "./opfs_files.ts";

/** Copied at a time: streams of blobs give pieces so small that each takes longer to come than to be written. */
const PIECE_BYTES = 8 * 2 ** 20;

/** The bytes of a blob, a piece at a time. */
export async function* piecesOf(content: Blob): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < content.size; at += PIECE_BYTES) {
    yield new Uint8Array(await content.slice(at, at + PIECE_BYTES).arrayBuffer());
  }
}

/** Appears under its name once it is whole. @throws {StorageDeniedError} If there is no room for it. */
export async function copyTo(folder: Folder, name: string, content: Blob): Promise<void> {
  const writer = await folder.create(name);
  try {
    for await (const piece of piecesOf(content)) await writer.write(piece);
    await writer.commit();
  } finally {
    await writer.abort();
  }
}

/** The same of a stream. */
export async function copyStreamTo(
  folder: Folder,
  name: string,
  content: ReadableStream<Uint8Array>,
): Promise<void> {
  const writer = await folder.create(name);
  try {
    const reader = content.getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      await writer.write(read.value);
    }
    await writer.commit();
  } finally {
    await writer.abort();
  }
}

/** A file's content: of the browser's own storage as it lies there, of others from the memory. */
export async function blobOf(folder: ReadableFolder, name: string): Promise<Blob> {
  const reader = await folder.open(name);
  try {
    return reader instanceof OpfsReader ? reader.file : new Blob([await reader.read(0, reader.size)]);
  } finally {
    await reader.close();
  }
}
