/**
 * What kind of file data comes in, told by its first bytes: names lie, and downloads have none.
 *
 * @module
 */
import { DatasetFormatError } from "../errors.ts";
import type { FileReader } from "../storage.ts";

/** Kinds that are read. */
export type FileKind = "jsonl" | "json array" | "csv" | "parquet";

const HEAD_BYTES = 4096;

/** @throws {DatasetFormatError} If it is none: empty, UTF-16, compressed. */
export async function fileKind(file: FileReader): Promise<FileKind> {
  const head = await file.read(0, Math.min(file.size, HEAD_BYTES));
  const refusal = refusalOf(head, file.uri);
  if (refusal) throw new DatasetFormatError([{ file: file.uri, message: refusal }]);
  if (startsWith(head, [0x50, 0x41, 0x52, 0x31])) return "parquet";
  const text = new TextDecoder().decode(head).trimStart();
  const [first = "", second] = text.split("\n", 2);
  // JSON Lines may hold arrays, though no row is one: an array of records opens with "[" and "{", or ends the line
  if (/^\[\s*(\{|\]|$)/.test(text)) return "json array";
  if (/\.jsonl$/i.test(file.uri)) return "jsonl";
  if (/\.[ct]sv$/i.test(file.uri)) return "csv";
  const named = /^\uFEFF?("[^"]+"|[\w .-]+)([,;\t]("[^"]*"|[\w .-]*))*\r?$/.test(first);
  return second !== undefined && named && /[A-Za-z]/.test(first) && !isJson(first) ? "csv" : "jsonl";
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Why a file that begins with these bytes is not read, and what to do; null if it may be. */
function refusalOf(head: Uint8Array, uri: string): string | null {
  if (head.length === 0) return "is empty: write one JSON object a line";
  if (startsWith(head, [0xff, 0xfe])) return `is UTF-16: ${converted("UTF-16", uri)}`;
  if (startsWith(head, [0xfe, 0xff])) return `is UTF-16: ${converted("UTF-16", uri)}`;
  if (startsWith(head, [0x1f, 0x8b])) return "is compressed with gzip: unpack it (gunzip FILE)";
  if (startsWith(head, [0x50, 0x4b, 0x03, 0x04])) return "is a zip archive: unpack it (unzip FILE)";
  const isParquet = startsWith(head, [0x50, 0x41, 0x52, 0x31]);
  if (!isParquet && head.subarray(0, 64).includes(0)) {
    return `contains NUL bytes: if it is UTF-16, ${converted("UTF-16LE", uri)}`;
  }
  return null;
}

/** The command that writes a file anew in UTF-8. */
export function converted(encoding: string, uri: string): string {
  const name = uri.slice(uri.lastIndexOf("/") + 1);
  const output = name.replace(/(\.\w+)?$/, (ending) => `.utf8${ending || ".jsonl"}`);
  return `convert the file (iconv -f ${encoding} -t UTF-8 ${name} > ${output})`;
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
