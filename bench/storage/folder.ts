/**
 * The folder that is moved: a few large files, some of middle size and many small ones, made from a seed.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Bytes of each kind of file where the whole is a gigabyte. */
const KINDS = [
  { folder: "large", files: 4, bytes: 200e6 },
  { folder: "middle", files: 20, bytes: 8e6 },
  { folder: "small", files: 400, bytes: 100e3 },
] as const;

const CHUNK_BYTES = 4 << 20;

/** A file by its path from the folder. */
export interface MadeFile {
  readonly path: string;
  readonly size: number;
}

/** The files of a folder of about `bytes` bytes: as many whatever its size. */
export function filesOf(bytes: number): MadeFile[] {
  return KINDS.flatMap(({ folder, files, bytes: whole }) =>
    Array.from({ length: files }, (_, i) => ({
      path: `${folder}/${String(i).padStart(3, "0")}.bin`,
      size: Math.max(1, Math.round(whole * bytes / 1e9)) + i, // no two are equally long
    }))
  );
}

/** Writes files of noise. */
export function writeFiles(folder: string, files: readonly MadeFile[], seed: number): void {
  for (const { folder: kind } of KINDS) Deno.mkdirSync(`${folder}/${kind}`, { recursive: true });
  const words = new Uint32Array(CHUNK_BYTES / 4), bytes = new Uint8Array(words.buffer);
  let state = seed;
  for (const { path, size } of files) {
    using file = Deno.openSync(`${folder}/${path}`, { write: true, create: true });
    for (let left = size; left > 0; left -= bytes.length) {
      for (let i = 0; i < words.length; i++) {
        state ^= state << 13;
        state ^= state >>> 17;
        words[i] = state ^= state << 5;
      }
      const part = bytes.subarray(0, Math.min(left, bytes.length));
      for (let done = 0; done < part.length;) done += file.writeSync(part.subarray(done));
    }
  }
}

/** @throws {Error} If a file of `copy` is missing, or differs from that of `folder`. */
export function checkCopy(folder: string, copy: string, files: readonly MadeFile[]): void {
  const [want, got] = [new Uint8Array(CHUNK_BYTES), new Uint8Array(CHUNK_BYTES)];
  for (const { path, size } of files) {
    using original = Deno.openSync(`${folder}/${path}`);
    using copied = Deno.openSync(`${copy}/${path}`);
    if (copied.statSync().size !== size) throw new Error(`"${path}" arrived with another size`);
    for (let at = 0; at < size; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, size - at);
      fill(original, want.subarray(0, length));
      fill(copied, got.subarray(0, length));
      if (Buffer.compare(want.subarray(0, length), got.subarray(0, length)) !== 0) {
        throw new Error(`"${path}" arrived with other bytes from ${at} on`);
      }
    }
  }
}

function fill(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) throw new Error("a file ended while it was compared");
    done += count;
  }
}
