/**
 * Reads event files by Protocol Buffers' rules alone, so that the writer is not checked by itself.
 *
 * @module
 */
import assert from "node:assert/strict";
import { crc32c } from "../../src/crc32c.ts";

/** A message by field number: numbers, or the bytes of texts and messages. */
export type Fields = ReadonlyMap<number, readonly (number | Uint8Array<ArrayBuffer>)[]>;

/** Splits a message into its fields. */
export function fieldsOf(bytes: Uint8Array<ArrayBuffer>): Fields {
  const fields = new Map<number, (number | Uint8Array<ArrayBuffer>)[]>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const varint = () => {
    for (let value = 0, scale = 1;; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const take = (kind: number) => {
    if (kind === 0) return varint();
    const size = kind === 1 ? 8 : kind === 5 ? 4 : varint();
    at += size;
    assert.ok(at <= bytes.length, "a field ends beyond its message");
    if (kind === 1) return view.getFloat64(at - 8, true);
    return kind === 5 ? view.getFloat32(at - 4, true) : bytes.slice(at - size, at);
  };
  while (at < bytes.length) {
    const key = varint();
    fields.set(key >> 3, [...fields.get(key >> 3) ?? [], take(key & 7)]);
  }
  return fields;
}

/** The messages of a file, each checked against its sums. */
export function recordsOf(file: Uint8Array<ArrayBuffer>): Fields[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const records: Fields[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(view.getBigUint64(at, true));
    assertSum(file.slice(at, at + 8), view.getUint32(at + 8, true));
    const message = file.slice(at + 12, at + 12 + length);
    assertSum(message, view.getUint32(at + 12 + length, true));
    records.push(fieldsOf(message));
    at += 16 + length;
  }
  return records;
}

/** Takes the mask off: the sum was rotated by 15 bits to the right, and a constant added. */
function assertSum(bytes: Uint8Array, masked: number): void {
  const rotated = (masked - 0xa282ead8) >>> 0;
  assert.equal(((rotated << 15) | (rotated >>> 17)) >>> 0, crc32c(bytes));
}

/** A field that is there once, as text. */
export function textOf(fields: Fields, field: number): string {
  return new TextDecoder().decode(fields.get(field)![0] as Uint8Array);
}

/** A field that is there once, as a message. */
export function messageOf(fields: Fields, field: number): Fields {
  return fieldsOf(fields.get(field)![0] as Uint8Array<ArrayBuffer>);
}
