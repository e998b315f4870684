/**
 * JSON Lines, streamed: one JSON value a line, UTF-8, with or without a byte order mark, LF or CRLF.
 *
 * @module
 */
import { type Entry, MAX_RECORD_BYTES, notUtf8, RecordBytes, textOf } from "./entries.ts";
import { jsonErrorAt } from "./json_error.ts";
import { converted } from "./file_kind.ts";

const LINE_FEED = 0x0a;

/**
 * Every line in order. Bad lines are told, not thrown, so that one pass finds them all.
 *
 * @param uri For messages.
 */
export async function* readJsonl(chunks: AsyncIterable<Uint8Array>, uri: string): AsyncGenerator<Entry> {
  let line = 0;
  for await (const bytes of lines(chunks)) yield entryOf(++line, bytes, uri);
}

/** The bytes of each line without its LF; null where a line is too long. */
async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | null> {
  const record = new RecordBytes();
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, from)) {
      record.add(chunk.subarray(from, end));
      from = end + 1;
      yield record.take();
    }
    if (from < chunk.length) record.add(chunk.subarray(from));
  }
  if (record.length > 0) yield record.take();
}

function entryOf(line: number, bytes: Uint8Array | null, uri: string): Entry {
  if (!bytes) {
    return { kind: "bad", line, message: `is longer than ${MAX_RECORD_BYTES} bytes: split the row` };
  }
  const text = textOf(bytes);
  if (text === null) return notUtf8(line, bytes, converted("LATIN1", uri));
  if (text.trim() === "") return { kind: "blank", line };
  return jsonEntry(line, text, jsonAdvice(text.trim()));
}

/** A record from JSON text; `advice` follows where it is none. */
export function jsonEntry(line: number, text: string, advice = ""): Entry {
  try {
    return { kind: "row", line, value: JSON.parse(text), text };
  } catch (error) {
    const { message } = error as Error;
    return {
      kind: "bad",
      line,
      message: `is not JSON (${message})${advice}`,
      text,
      at: jsonErrorAt(text),
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
