/**
 * The header of a safetensors file: `u64le length | JSON padded with spaces | data`. The JSON maps each tensor
 * name to `{"dtype","shape","data_offsets":[begin, end]}`, offsets counted from the first data byte, and
 * `__metadata__` to a map of strings. Nothing the header says is believed before it is checked.
 *
 * @see https://huggingface.co/docs/safetensors
 * @module
 */

import { ModelFormatError } from "../errors.ts";
import { duplicateKey } from "./json_keys.ts";

/** What is known of a tensor without reading its values. */
export interface TensorInfo {
  /** Name in the file, such as `model.norm.weight`. */
  readonly name: string;
  /** As safetensors spells it, such as `BF16`. */
  readonly dtype: string;
  /** Sizes, the slowest first; empty for a single value. */
  readonly shape: readonly number[];
  /** Size in the file, bytes. */
  readonly byteLength: number;
}

/** A tensor's place: its first byte counted from the start of the data. */
export interface TensorEntry {
  readonly info: TensorInfo;
  readonly begin: number;
}

/** Everything a header says. Entries are in the order of the data. */
export interface SafetensorsHeader {
  readonly entries: readonly TensorEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

/** Bytes of the length field before the header. */
export const LENGTH_BYTES = 8;

/** The format's own bound; also keeps a random file from asking for all memory. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bits per value. The order is the format's: writers put later dtypes first. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/**
 * Bytes of a tensor.
 *
 * @throws {TypeError} If the format has no such dtype.
 */
export function tensorBytes(dtype: string, shape: readonly number[]): number {
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  if (bits !== undefined) return shape.reduce((product, size) => product * size, bits) / 8;
  throw new TypeError(
    `dtype is ${JSON.stringify(dtype)}, one of ${Object.keys(DTYPE_BITS).join(", ")} is wanted`,
  );
}

/**
 * Checks and lists what a header's JSON declares: names once each, known dtypes, byte counts that follow from
 * dtype and shape, and data ranges that cover the data without overlap or hole.
 *
 * @param uri Name of the file for messages.
 * @param dataBytes Bytes that follow the header.
 * @throws {ModelFormatError}
 */
export function parseHeader(json: Uint8Array, dataBytes: number, uri: string): SafetensorsHeader {
  const text = decodeText(json, uri);
  const root = parseObject(text, uri);
  const repeated = duplicateKey(text);
  if (repeated !== undefined) {
    throw damaged(uri, `the header names ${JSON.stringify(repeated)} more than once`);
  }
  const { __metadata__: metadata, ...tensors } = root;
  const entries = Object.entries(tensors)
    .map(([name, value]) => parseEntry(name, value, uri))
    .sort((a, b) => a.begin - b.begin || a.info.byteLength - b.info.byteLength);
  checkCoverage(entries, dataBytes, uri);
  return { entries, metadata: parseMetadata(metadata, uri) };
}

/**
 * The length field and padded JSON that Python's safetensors writes for these tensors, in the order given.
 * Several metadata entries have no fixed order there; only one gives equal bytes.
 */
export function formatHeader(
  infos: readonly TensorInfo[],
  metadata: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const parts: string[] = [];
  if (metadata.size > 0) parts.push(`"__metadata__":${JSON.stringify(Object.fromEntries(metadata))}`);
  let begin = 0;
  for (const { name, dtype, shape, byteLength } of infos) {
    const end = begin + byteLength;
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
    begin = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const paddedBytes = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(LENGTH_BYTES + paddedBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(paddedBytes), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

/** Order in which writers place tensors: wider dtypes first, then by the bytes of the name. */
export function compareTensors(
  a: { readonly name: string; readonly dtype: string },
  b: { readonly name: string; readonly dtype: string },
): number {
  const dtypes = Object.keys(DTYPE_BITS);
  return dtypes.indexOf(b.dtype) - dtypes.indexOf(a.dtype) || compareBytes(a.name, b.name);
}

/** UTF-8 bytes sort as code points do, which JavaScript's own comparison (by UTF-16 unit) does not. */
function compareBytes(a: string, b: string): number {
  const left = Array.from(a, codePoint), right = Array.from(b, codePoint);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] !== right[i]) return left[i]! - right[i]!;
  }
  return left.length - right.length;
}

function codePoint(character: string): number {
  return character.codePointAt(0)!;
}

function decodeText(json: Uint8Array, uri: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(json);
  } catch {
    throw damaged(uri, "the header is not UTF-8 text");
  }
}

function parseObject(text: string, uri: string): Record<string, unknown> {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw damaged(uri, `the header is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(root)) throw damaged(uri, `the header is ${kindOf(root)}, an object is wanted`);
  return root;
}

function parseEntry(name: string, value: unknown, uri: string): TensorEntry {
  const fail = (problem: string) => damaged(uri, `tensor "${name}": ${problem}`);
  if (!isObject(value)) throw fail(`its entry is ${kindOf(value)}, an object is wanted`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string") throw fail(`dtype is ${JSON.stringify(dtype)}, a string is wanted`);
  if (!isCounts(shape)) {
    throw fail(`shape is ${JSON.stringify(shape)}, a list of whole numbers >= 0 is wanted`);
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw fail(`data_offsets is ${JSON.stringify(offsets)}, [begin, end] with begin <= end is wanted`);
  }
  const [begin, end] = offsets as [number, number];
  const wantedBytes = declaredBytes(dtype, shape, fail);
  const byteLength = end - begin;
  if (byteLength !== wantedBytes) {
    throw fail(`data_offsets span ${byteLength} bytes, ${dtype} [${shape.join(", ")}] takes ${wantedBytes}`);
  }
  return { info: { name, dtype, shape, byteLength }, begin };
}

function declaredBytes(dtype: string, shape: readonly number[], fail: (problem: string) => Error): number {
  try {
    return tensorBytes(dtype, shape);
  } catch (error) {
    throw fail((error as TypeError).message);
  }
}

function checkCoverage(entries: readonly TensorEntry[], dataBytes: number, uri: string): void {
  let end = 0, before = "the header";
  for (const { info: { name, byteLength }, begin } of entries) {
    if (begin < end) {
      throw damaged(
        uri,
        `tensor "${name}" begins at byte ${begin} and overlaps ${before}, which ends at ${end}`,
      );
    }
    if (begin > end) {
      throw damaged(
        uri,
        `tensor "${name}" begins at byte ${begin} and leaves a hole after ${before} at ${end}`,
      );
    }
    end = begin + byteLength;
    before = `tensor "${name}"`;
    if (end > dataBytes) {
      throw damaged(
        uri,
        `${before} ends at byte ${end} of the data, the file holds ${dataBytes}: it is cut short, fetch it again`,
      );
    }
  }
  if (end < dataBytes) throw damaged(uri, `${dataBytes - end} bytes after ${before} belong to no tensor`);
}

function parseMetadata(value: unknown, uri: string): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  if (!isObject(value)) throw damaged(uri, `__metadata__ is ${kindOf(value)}, a map of strings is wanted`);
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string") {
        throw damaged(uri, `__metadata__ "${key}" is ${JSON.stringify(text)}, a string is wanted`);
      }
      return [key, text];
    }),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function kindOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function damaged(uri: string, problem: string): ModelFormatError {
  return new ModelFormatError(`Cannot read "${uri}" as safetensors: ${problem}`);
}
