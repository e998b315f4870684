/**
 * A folder that is a zip archive in the making: what is written to it goes on at once, and nothing is kept.
 *
 * @module
 */
import { makeZip } from "client-zip";
import { assertFileName, type FileWriter, type WritableFolder } from "../../src/storage.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Entry {
  readonly name: string;
  readonly input: ReadableStream<Bytes>;
}

/**
 * The archive of the files that `fill` writes, one after the other. They are stored, not compressed: weights do not get
 * smaller. What `fill` throws breaks the stream, and so does the signal.
 */
export function zipOf(
  fill: (folder: WritableFolder) => Promise<void>,
  signal: AbortSignal,
): ReadableStream<Bytes> {
  const { readable, writable } = new TransformStream<Entry, Entry>();
  const entries = writable.getWriter();
  const folder: WritableFolder = {
    uri: "the archive",
    async create(name) {
      assertFileName(folder, name);
      const bytes = new TransformStream<Bytes, Bytes>(), writer = bytes.writable.getWriter();
      const stop = () => void writer.abort(signal.reason).catch(() => {});
      signal.addEventListener("abort", stop, { once: true });
      await entries.write({ name, input: bytes.readable });
      return new EntryWriter(writer);
    },
  };
  signal.addEventListener("abort", () => void entries.abort(signal.reason).catch(() => {}), { once: true });
  fill(folder).then(() => entries.close()).catch((error) => entries.abort(error).catch(() => {}));
  return makeZip(each(readable)) as ReadableStream<Bytes>;
}

/** What a stream holds, also where streams cannot be iterated. */
async function* each<T>(stream: ReadableStream<T>): AsyncGenerator<T> {
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}

class EntryWriter implements FileWriter {
  #open = true;

  constructor(readonly bytes: WritableStreamDefaultWriter<Bytes>) {}

  async write(bytes: Uint8Array): Promise<void> {
    await this.bytes.write(bytes.slice()); // whoever writes may use the memory again
  }

  async commit(): Promise<void> {
    await this.bytes.close();
    this.#open = false;
  }

  async abort(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.bytes.abort(new Error("a file of the archive was not finished")).catch(() => {});
  }
}
