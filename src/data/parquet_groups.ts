/**
 * Parquet's row groups, each read whole. What unpacks Brotli is loaded for files that use it: its dictionary alone is
 * larger than all the rest.
 *
 * @module
 */
import type { AsyncBuffer, CompressionCodec, Compressors, FileMetaData, RowGroup } from "hyparquet";
import { parquetMetadataAsync, parquetSchema } from "hyparquet/src/metadata.js";
import { assembleAsync, asyncGroupToRows, readRowGroup } from "hyparquet/src/rowgroup.js";
import { decompress as unzstd } from "fzstd";
import { gunzip } from "hyparquet-compressors/src/gzip.js";
import { decompressLz4, decompressLz4Raw } from "hyparquet-compressors/src/lz4.js";

/** Snappy's comes with the reader. */
const UNPACKERS: Compressors = {
  GZIP: (packed, bytes) => gunzip(packed, new Uint8Array(bytes)),
  ZSTD: (packed) => unzstd(packed),
  LZ4: decompressLz4,
  LZ4_RAW: decompressLz4Raw,
};

async function unpackersOf(codecs: ReadonlySet<CompressionCodec>): Promise<Compressors> {
  if (!codecs.has("BROTLI")) return UNPACKERS;
  const { decompressBrotli } = await import("hyparquet-compressors/src/brotli.js");
  return { ...UNPACKERS, BROTLI: decompressBrotli };
}

/** What is read, and how. */
interface Reading {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly compressors: Compressors;
}

/** The rows of each group in turn, by column. @throws {Error} If the file is damaged, or packed by something else. */
export async function* parquetGroups(file: AsyncBuffer): AsyncGenerator<Record<string, unknown>[]> {
  const metadata = await parquetMetadataAsync(file);
  const columns = metadata.row_groups.flatMap((group) => group.columns);
  const codecs = new Set(columns.flatMap(({ meta_data }) => meta_data?.codec ?? []));
  const reading = { file, metadata, compressors: await unpackersOf(codecs) };
  for (const group of metadata.row_groups) yield await readGroup(reading, group);
}

async function readGroup(reading: Reading, rowGroup: RowGroup): Promise<Record<string, unknown>[]> {
  const { metadata } = reading, rows = Number(rowGroup.num_rows);
  const chunks = rowGroup.columns.map(({ meta_data: columnMetadata, file_path }) => {
    if (!columnMetadata || file_path) throw new Error("a column lies in another file");
    const { dictionary_page_offset, data_page_offset, total_compressed_size } = columnMetadata;
    const startByte = Number(dictionary_page_offset || data_page_offset);
    return { columnMetadata, range: { startByte, endByte: startByte + Number(total_compressed_size) } };
  });
  const group = { chunks, rowGroup, groupStart: 0, groupRows: rows, selectStart: 0, selectEnd: rows };
  const columns = readRowGroup(reading, { metadata, rowStart: 0, fetches: [], groups: [group] }, group);
  return await asyncGroupToRows(
    assembleAsync(columns, parquetSchema(metadata)),
    0,
    rows,
    undefined,
    "object",
  );
}
