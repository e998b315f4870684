/**
 * CSV and its kin (RFC 4180), streamed: fields between commas, semicolons or tabs, quoted where they hold one of
 * those, a quote (doubled) or a line break. The first record names the columns.
 *
 * @module
 */
import { type Entry, MAX_RECORD_BYTES, textOf } from "./entries.ts";
import { converted } from "./file_kind.ts";

/** What may stand between fields. */
const SEPARATORS = [",", "\t", ";"] as const;

/**
 * Every record below the header as an object of strings; `line` is where it begins. Empty fields are "".
 *
 * @param uri For messages.
 */
export async function* readCsv(chunks: AsyncIterable<Uint8Array>, uri: string): AsyncGenerator<Entry> {
  let columns: readonly string[] | null = null, separator = ",";
  for await (const { line, text, problem } of records(chunks, uri)) {
    if (problem) {
      yield { kind: "bad", line, message: problem, endsFile: true };
      return; // where one record ends decides where the next begins
    }
    if (text.trim() === "") {
      yield { kind: "blank", line };
      continue;
    }
    if (columns === null) {
      separator = separatorOf(text);
      columns = fieldsOf(text, separator);
      continue;
    }
    const fields = fieldsOf(text, separator), names = columns;
    yield fields.length === names.length
      ? { kind: "row", line, value: Object.fromEntries(names.map((name, i) => [name, fields[i]!])), text }
      : {
        kind: "bad",
        line,
        message:
          `has ${fields.length} fields, the header ${names.length} (${names.join(", ").slice(0, 80)}): ` +
          `put fields with a separator, quote or line break in double quotes`,
        text,
      };
  }
}

interface CsvRecord {
  readonly line: number;
  readonly text: string;
  readonly problem?: string;
}

/** The text of each record: line breaks inside quotes do not end it. */
async function* records(chunks: AsyncIterable<Uint8Array>, uri: string): AsyncGenerator<CsvRecord> {
  let pending = "", start = 1, next = 1, quoted = false;
  for await (const { text, complete } of textLines(chunks)) {
    if (text === null) {
      const problem = `is not UTF-8: if it is Latin-1, ${converted("LATIN1", uri)}`;
      return yield { line: next, text: "", problem };
    }
    pending += text;
    next += 1;
    for (const character of text) if (character === '"') quoted = !quoted;
    if (pending.length > MAX_RECORD_BYTES) {
      const problem = `is longer than ${MAX_RECORD_BYTES} bytes: a quote may be missing`;
      return yield { line: start, text: "", problem };
    }
    if (quoted && complete) continue;
    if (quoted) {
      return yield { line: start, text: "", problem: "ends inside a quoted field: close the quote" };
    }
    yield { line: start, text: pending.replace(/\r?\n$/, "") };
    [pending, start] = ["", next];
  }
  if (quoted) yield { line: start, text: "", problem: "ends inside a quoted field: close the quote" };
}

/** Lines with their ends; `complete` is false for a last one without. */
async function* textLines(chunks: AsyncIterable<Uint8Array>) {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      const part = chunk.subarray(from, end + 1);
      yield { text: textOf(rest.length === 0 ? part : Uint8Array.from([...rest, ...part])), complete: true };
      [rest, from] = [new Uint8Array(0), end + 1];
    }
    if (from < chunk.length) {
      const longer = new Uint8Array(rest.length + chunk.length - from);
      longer.set(rest);
      longer.set(chunk.subarray(from), rest.length);
      rest = longer;
    }
  }
  if (rest.length > 0) yield { text: textOf(rest), complete: false };
}

/** The separator that the header has most of. */
function separatorOf(header: string): string {
  const counts = SEPARATORS.map((separator) => fieldsOf(header, separator).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))]!;
}

/** The fields of one record. */
export function fieldsOf(record: string, separator: string): string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= record.length) {
    if (record[at] !== '"') {
      const end = record.indexOf(separator, at);
      fields.push(record.slice(at, end < 0 ? record.length : end));
      at = end < 0 ? record.length + 1 : end + 1;
      continue;
    }
    let end = record.indexOf('"', at + 1);
    while (end >= 0 && record[end + 1] === '"') end = record.indexOf('"', end + 2);
    const stop = end < 0 ? record.length : end;
    const next = record.indexOf(separator, stop);
    fields.push(record.slice(at + 1, stop).replaceAll('""', '"'));
    at = next < 0 ? record.length + 1 : next + 1;
  }
  return fields;
}
