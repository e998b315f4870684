/**
 * A JSON array of records, streamed: split at the commas between them, so that no more than one is held.
 *
 * @module
 */
import { type Entry, MAX_RECORD_BYTES, notUtf8, RecordBytes, textOf } from "./entries.ts";
import { converted } from "./file_kind.ts";
import { jsonEntry } from "./jsonl.ts";

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const WHITE = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * Every record in order; `line` counts records. What follows the array, or cuts it short, is a bad record.
 *
 * @param uri For messages.
 */
export async function* readJsonArray(chunks: AsyncIterable<Uint8Array>, uri: string): AsyncGenerator<Entry> {
  const record = new RecordBytes();
  let row = 0, depth = 0, quoted = false, escaped = false, holds = false, closed = false;
  const take = () => {
    holds = false;
    return entryOf(++row, record.take(), uri);
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (quoted) {
        if (escaped) escaped = false;
        else if (byte === BACKSLASH) escaped = true;
        else if (byte === QUOTE) quoted = false;
        continue;
      }
      if (WHITE.has(byte)) continue;
      if (closed) {
        yield {
          kind: "bad",
          line: row,
          message: "is followed by more than the end of the array: remove that",
          endsFile: true,
        };
        return;
      }
      if (byte === QUOTE) quoted = true;
      if (OPENING.has(byte) && depth++ === 0) {
        from = i + 1;
        continue;
      }
      if (CLOSING.has(byte) && --depth === 0) closed = true;
      if (closed || (byte === COMMA && depth === 1)) {
        record.add(chunk.subarray(from, i));
        from = i + 1;
        if (holds || !closed) yield take();
        if (closed) record.take();
        continue;
      }
      holds = true;
    }
    if (depth > 0) record.add(chunk.subarray(from));
  }
  if (!closed) {
    yield {
      kind: "bad",
      line: row + 1,
      message: 'is cut short: the array has no closing "]", copy the file again',
      endsFile: true,
    };
  }
}

function entryOf(row: number, bytes: Uint8Array | null, uri: string): Entry {
  if (!bytes) {
    return { kind: "bad", line: row, message: `is longer than ${MAX_RECORD_BYTES} bytes: split the row` };
  }
  const text = textOf(bytes);
  if (text === null) return notUtf8(row, bytes, converted("LATIN1", uri));
  return jsonEntry(row, text);
}
