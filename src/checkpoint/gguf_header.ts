/**
 * The header of a GGUF file:
 *
 *     "GGUF" | u32 version | u64 tensors | u64 entries | metadata entries | tensor entries | padding | data
 *
 * A metadata entry is `key | type | value`, a tensor entry `name | u32 dimensions | u64 sizes, innermost first | u32 type |
 * u64 offset into the data`. Nothing the header says is believed before it is checked.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @module
 */
import { UnsupportedModelError } from "../errors.ts";
import { GGUF_TYPES, type GgufType } from "../quant/gguf_types.ts";
import { GgufCursor, type GgufValue, PrefixTooShort } from "./gguf_cursor.ts";

/** What is known of a tensor without reading its values. */
export interface GgufTensorInfo {
  /** Such as `blk.0.attn_q.weight`. */
  readonly name: string;
  /** How its values are packed. */
  readonly type: GgufType;
  /** Outermost dimension first, as everywhere in this project; the file has it last. */
  readonly shape: readonly number[];
  /** Size in the file, bytes. */
  readonly byteLength: number;
  /** Of its first byte, from the start of the file. */
  readonly firstByte: number;
}

/** Everything a header says. */
export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** By name, in the order of the header. */
  readonly infos: ReadonlyMap<string, GgufTensorInfo>;
}

/** Keeps a random file from asking for all memory; vocabularies of 256k tokens take a tenth of it. */
export const MAX_HEADER_BYTES = 100_000_000;

const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
const MAX_DIMENSIONS = 4;
const DEFAULT_ALIGNMENT = 32, MAX_ALIGNMENT = 2 ** 20;
/** Bytes of the shortest metadata and tensor entries, by which their counts are bounded. */
const SHORTEST_ENTRY = 8 + 1 + 4 + 1, SHORTEST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8;

/**
 * Checks and lists what a header declares: keys and names once each, known types, whole blocks, aligned data within the
 * file and without overlap.
 *
 * @param prefix The first bytes of the file.
 * @param fileBytes Size of the whole file.
 * @param uri Name of the file for messages.
 * @returns null where the header goes on beyond the prefix.
 * @throws {ModelFormatError} If it is damaged or contradicts itself or the file.
 * @throws {UnsupportedModelError} If it is of another version or byte order.
 */
export function parseGgufHeader(prefix: Uint8Array, fileBytes: number, uri: string): GgufHeader | null {
  const cursor = new GgufCursor(prefix, fileBytes, uri);
  try {
    const version = readVersion(cursor, uri);
    const tensors = cursor.count("tensor_count", Math.floor(fileBytes / SHORTEST_TENSOR));
    const entries = cursor.count("metadata_kv_count", Math.floor(fileBytes / SHORTEST_ENTRY));
    const metadata = readMetadata(cursor, entries);
    const found = Array.from({ length: tensors }, (_, i) => readTensor(cursor, i));
    return { version, metadata, infos: placed(cursor, found, readAlignment(cursor, metadata), fileBytes) };
  } catch (error) {
    if (error instanceof PrefixTooShort) return null;
    throw error;
  }
}

function readVersion(cursor: GgufCursor, uri: string): number {
  const magic = cursor.u32("the magic number");
  if (magic !== MAGIC) {
    throw cursor.fail(`it begins with 0x${magic.toString(16).padStart(8, "0")}, "GGUF" is wanted`);
  }
  const version = cursor.u32("version");
  if (VERSIONS.includes(version)) return version;
  const found = (version & 0xffff) === 0 ? "big-endian numbers" : `version ${version}`;
  throw new UnsupportedModelError(
    `Cannot read "${uri}" as GGUF: it has ${found}, and little-endian files of version ${
      VERSIONS.join(" or ")
    } are supported; convert the model again with a current llama.cpp`,
  );
}

function readMetadata(cursor: GgufCursor, entries: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entries; i++) {
    const key = cursor.name(`key ${i} of the metadata`);
    if (metadata.has(key)) throw cursor.fail(`the metadata has "${key}" more than once`);
    metadata.set(key, cursor.value(`"${key}"`));
  }
  return metadata;
}

/** Bytes that the data and each tensor begin at a multiple of. */
function readAlignment(cursor: GgufCursor, metadata: ReadonlyMap<string, GgufValue>): number {
  const alignment = metadata.get("general.alignment") ?? DEFAULT_ALIGNMENT;
  const valid = typeof alignment === "number" && alignment >= 1 && alignment <= MAX_ALIGNMENT &&
    Number.isInteger(Math.log2(alignment));
  if (valid) return alignment;
  throw cursor.fail(
    `"general.alignment" is ${
      String(alignment).slice(0, 40)
    }, a power of two up to ${MAX_ALIGNMENT} is wanted`,
  );
}

/** A tensor entry; `offset` counts from the start of the data. */
type FoundTensor = Omit<GgufTensorInfo, "firstByte"> & { readonly offset: number };

function readTensor(cursor: GgufCursor, index: number): FoundTensor {
  const name = cursor.name(`the name of tensor ${index}`), what = `tensor "${name}"`;
  const dimensions = cursor.u32(`the number of dimensions of ${what}`);
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw cursor.fail(`${what} has ${dimensions} dimensions, 1 to ${MAX_DIMENSIONS} are possible`);
  }
  const sizes = Array.from({ length: dimensions }, (_, d) => {
    const size = cursor.count(`size ${d} of ${what}`, Number.MAX_SAFE_INTEGER);
    if (size > 0) return size;
    throw cursor.fail(`size ${d} of ${what} is 0`);
  });
  const id = cursor.u32(`the type of ${what}`), type = GGUF_TYPES.get(id);
  if (!type) throw cursor.fail(`${what} has type ${id}, which is none of ggml's, or newer than this version`);
  const offset = cursor.count(`the offset of ${what}`, Number.MAX_SAFE_INTEGER);
  const shape = sizes.reverse(), row = shape.at(-1)!;
  if (row % type.blockValues !== 0) {
    throw cursor.fail(`${what} has rows of ${row} values, ${type.name} packs blocks of ${type.blockValues}`);
  }
  const values = shape.reduce((product, size) => product * size);
  const byteLength = values / type.blockValues * type.blockBytes;
  if (!Number.isSafeInteger(values) || !Number.isSafeInteger(byteLength)) {
    throw cursor.fail(`${what} is [${shape.join(", ")}], more than any file holds`);
  }
  return { name, type, shape, byteLength, offset };
}

/** Finds the tensors' places in the file, and that no two share a byte. */
function placed(
  cursor: GgufCursor,
  found: readonly FoundTensor[],
  alignment: number,
  fileBytes: number,
): Map<string, GgufTensorInfo> {
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment;
  const infos = new Map<string, GgufTensorInfo>();
  for (const { offset, ...tensor } of found) {
    const { name, byteLength } = tensor, firstByte = dataStart + offset;
    if (infos.has(name)) throw cursor.fail(`two tensors are "${name}"`);
    if (offset % alignment !== 0) {
      throw cursor.fail(`the offset of tensor "${name}" is ${offset}, a multiple of ${alignment} is wanted`);
    }
    if (firstByte + byteLength > fileBytes) {
      throw cursor.fail(
        `tensor "${name}" ends at byte ${firstByte + byteLength}, the file has ${fileBytes}: ` +
          `it is cut short, fetch it again`,
      );
    }
    infos.set(name, { ...tensor, firstByte });
  }
  const inOrder = [...infos.values()].sort((a, b) => a.firstByte - b.firstByte);
  for (const [i, { name, firstByte }] of inOrder.slice(1).entries()) {
    const before = inOrder[i]!, end = before.firstByte + before.byteLength;
    if (firstByte >= end) continue;
    throw cursor.fail(
      `tensor "${name}" begins at byte ${firstByte} and overlaps "${before.name}", which ends at ${end}`,
    );
  }
  return infos;
}
