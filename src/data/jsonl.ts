/**
 * JSON Lines, streamed: one JSON value a line, UTF-8, with or without a byte order mark, LF or CRLF.
 *
 * @module
 */

import { DatasetFormatError } from "../errors.ts";
import type { FileReader } from "../storage.ts";

/** The longest line that is read; a longer one is a bad line. */
export const MAX_LINE_BYTES = 16 * 2 ** 20;

/** One line of a file; `line` counts from 1. */
export type JsonlEntry =
  | { readonly kind: "row"; readonly line: number; readonly value: unknown }
  | { readonly kind: "blank"; readonly line: number }
  | { readonly kind: "bad"; readonly line: number; readonly message: string };

/**
 * Every line of a JSON Lines file in order. Bad lines are told, not thrown, so that one pass finds them all.
 *
 * @param chunkBytes How much is read at a time; default 1 MiB.
 * @throws {DatasetFormatError} If the file as a whole is something else: empty, UTF-16, a JSON array, CSV,
 * Parquet, compressed.
 */
export async function* readJsonl(file: FileReader, chunkBytes: number = 2 ** 20): AsyncGenerator<JsonlEntry> {
  const head = await file.read(0, Math.min(file.size, 4096));
  const refusal = otherFormat(head, file.uri);
  if (refusal) throw new DatasetFormatError([{ file: file.uri, message: refusal }]);
  let line = 0;
  for await (const bytes of lines(file, startsWith(head, [0xef, 0xbb, 0xbf]) ? 3 : 0, chunkBytes)) {
    yield entryOf(++line, bytes, file.uri);
  }
}

/** The bytes of each line without its LF; null where a line is longer than MAX_LINE_BYTES. */
async function* lines(
  file: FileReader,
  start: number,
  chunkBytes: number,
): AsyncGenerator<Uint8Array | null> {
  let parts: Uint8Array[] = [];
  let length = 0;
  const take = (): Uint8Array | null => {
    const whole = length > MAX_LINE_BYTES ? null : joined(parts, length);
    parts = [];
    length = 0;
    return whole;
  };
  for (let offset = start; offset < file.size; offset += chunkBytes) {
    const chunk = await file.read(offset, Math.min(chunkBytes, file.size - offset));
    let from = 0;
    while (from < chunk.length) {
      const end = chunk.indexOf(0x0a, from);
      const part = chunk.subarray(from, end === -1 ? chunk.length : end);
      length += part.length;
      if (length <= MAX_LINE_BYTES) parts.push(part);
      from += part.length + 1;
      if (end !== -1) yield take();
    }
  }
  if (length > 0) yield take();
}

function entryOf(line: number, bytes: Uint8Array | null, uri: string): JsonlEntry {
  if (!bytes) {
    return { kind: "bad", line, message: `is longer than ${MAX_LINE_BYTES} bytes: split the row` };
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { kind: "bad", line, message: `is not UTF-8: if it is Latin-1, ${converted("LATIN1", uri)}` };
  }
  if (text.trim() === "") return { kind: "blank", line };
  try {
    return { kind: "row", line, value: JSON.parse(text) };
  } catch (error) {
    return {
      kind: "bad",
      line,
      message: `is not JSON (${(error as Error).message})${jsonAdvice(text.trim())}`,
    };
  }
}

/** What usually made a line like this one no JSON; empty when nothing is recognised. */
function jsonAdvice(text: string): string {
  if (/^\{\s*'/.test(text)) return ": use double quotes, as Python's json.dumps() writes them";
  if (/,$/.test(text)) return ": remove the comma at its end";
  if (/^[{[]$/.test(text)) return ": put each row on one line (jq -c . FILE)";
  if (/[:[,]\s*-?(NaN|Infinity)\b/.test(text)) return ": NaN and Infinity are not JSON, use null or a number";
  return "";
}

/** Why a file that begins with these bytes is not JSON Lines, and what to do; null if it may be. */
function otherFormat(head: Uint8Array, uri: string): string | null {
  if (head.length === 0) return "is empty: write one JSON object a line";
  if (startsWith(head, [0xff, 0xfe])) return `is UTF-16: ${converted("UTF-16", uri)}`;
  if (startsWith(head, [0xfe, 0xff])) return `is UTF-16: ${converted("UTF-16", uri)}`;
  if (startsWith(head, [0x50, 0x41, 0x52, 0x31])) {
    return "is Parquet, which is not read: in Python, pandas.read_parquet(FILE).to_json(OUT, orient='records', lines=True)";
  }
  if (startsWith(head, [0x1f, 0x8b])) return "is compressed with gzip: unpack it (gunzip FILE)";
  if (startsWith(head, [0x50, 0x4b, 0x03, 0x04])) return "is a zip archive: unpack it (unzip FILE)";
  if (head.subarray(0, 64).includes(0)) {
    return `contains NUL bytes: if it is UTF-16, ${converted("UTF-16LE", uri)}`;
  }
  const text = new TextDecoder().decode(head).trimStart();
  if (text.startsWith("[")) {
    const command = `jq -c '.[]' ${nameOf(uri)} > ${outputOf(uri, "lines")}`;
    return `is a JSON array, not one object a line: convert it (${command})`;
  }
  const [first = ""] = text.split("\n", 1);
  if (/\.[ct]sv$/i.test(uri) || /^\w[\w ]*([,;\t]\w[\w ]*)+\r?$/.test(first)) {
    return "is CSV, which is not read: in Python, pandas.read_csv(FILE).to_json(OUT, orient='records', lines=True)";
  }
  return null;
}

function converted(encoding: string, uri: string): string {
  return `convert the file (iconv -f ${encoding} -t UTF-8 ${nameOf(uri)} > ${outputOf(uri, "utf8")})`;
}

function nameOf(uri: string): string {
  return uri.slice(uri.lastIndexOf("/") + 1);
}

function outputOf(uri: string, what: string): string {
  return nameOf(uri).replace(/(\.jsonl?)?$/, `.${what}.jsonl`);
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
