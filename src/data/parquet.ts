/**
 * Parquet, row group by row group: no more than one is held.
 *
 * @module
 */
import { DatasetFormatError } from "../errors.ts";
import type { FileReader } from "../storage.ts";
import { byteChunks, type Entry } from "./entries.ts";
import type { Sha256 } from "./sha256.ts";

/**
 * Every row in order, with lists and structs as arrays and objects.
 *
 * @param hash Takes every byte of the file, before the first row.
 * @throws {DatasetFormatError} If the file is damaged, or packed by something else than Snappy, gzip, Brotli, Zstandard
 * and LZ4.
 */
export async function* readParquet(file: FileReader, hash: Sha256): AsyncGenerator<Entry> {
  for await (const _ of byteChunks(file, hash));
  const buffer = {
    byteLength: file.size,
    slice: async (start: number, end = file.size) => {
      const from = start < 0 ? file.size + start : start;
      return (await file.read(from, end - from)).slice().buffer;
    },
  };
  let line = 0;
  // loaded for files of this kind alone: a page has no bytes to spare for a reader that few need
  const { parquetGroups } = await import("./parquet_groups.ts");
  try {
    for await (const rows of parquetGroups(buffer)) {
      for (const value of rows) yield { kind: "row", line: ++line, value };
    }
  } catch (error) {
    if (error instanceof DatasetFormatError) throw error;
    throw unreadable(file.uri, error);
  }
}

function unreadable(file: string, error: unknown): DatasetFormatError {
  const { message } = error as Error;
  const codec = /unsupported compression codec: (\w+)/.exec(message)?.[1];
  return new DatasetFormatError([{
    file,
    message: codec
      ? `is Parquet packed by ${codec}; Snappy, gzip, Brotli, Zstandard, LZ4 and none are read: in Python, ` +
        `pandas.read_parquet(FILE).to_parquet(OUT, compression="zstd")`
      : `cannot be read as Parquet (${message}): copy the file again`,
  }]);
}
