/**
 * The bytes of a file, or a folder as a zip archive, as streams: nothing is held but the part that is on its way.
 *
 * @module
 */
import { makeZip, predictLength } from "client-zip";

/** What a client reads. */
export interface FileContent {
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly bytes: number | null;
}

/** A file, or the files of a folder in a zip archive; null if it is not there. */
export async function contentOf(path: string, kind: "file" | "archive"): Promise<FileContent | null> {
  try {
    return kind === "file" ? await fileContent(path) : await archiveContent(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Bytes of the zip archive of a folder. */
export async function archiveBytes(folder: string): Promise<number> {
  return Number(predictLength(await entriesOf(folder)));
}

async function fileContent(path: string): Promise<FileContent> {
  const file = await Deno.open(path);
  const { size } = await file.stat();
  return { body: file.readable, bytes: size };
}

/** Entries are stored, not compressed: weights do not get smaller, and the length is known beforehand. */
async function archiveContent(folder: string): Promise<FileContent> {
  const entries = await entriesOf(folder);
  const files = async function* () {
    for (const { name, path, size, lastModified } of entries) {
      const { readable } = await Deno.open(path);
      yield { name, size, lastModified, input: readable };
    }
  };
  const body = makeZip(files()) as ReadableStream<Uint8Array<ArrayBuffer>>;
  return { body, bytes: Number(predictLength(entries)) };
}

interface Entry {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  readonly lastModified: Date;
}

/** Files below a folder by their path in it, sorted: the same folder gives the same archive. */
async function entriesOf(folder: string, below = ""): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(`${folder}/${below}`)) {
    if (name.startsWith(".")) continue; // locks, and what is being written
    const inside = below + name, path = `${folder}/${inside}`;
    if (isDirectory) entries.push(...await entriesOf(folder, `${inside}/`));
    if (!isFile) continue;
    const { size, mtime } = await Deno.stat(path);
    entries.push({ name: inside, path, size, lastModified: mtime ?? new Date(0) });
  }
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}
